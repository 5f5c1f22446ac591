/**
 * Tokenizing beside Hugging Face tokenizers (Rust, through PyPI `tokenizers`): encoding, decoding and training.
 *
 * 1. Both read the same tokenizer.json: byte-level BPE trained here on the text, or the file given with --tokenizer (its
 *    tokenizer_config.json beside it).
 * 2. One thread each; the text in lines, as a loader takes it. Each side runs its rounds in one sitting, one after the other.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadTokenizer } from '../src/tokenizer/load.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { trainBpe } from '../src/tokenizer/train-bpe.ts';
import { median } from '../src/util/statistics.ts';

/** Megabytes of UTF-8 a second; the first encoding of a process, when no word is remembered, apart. */
interface Speeds {
  readonly firstEncode: number;
  readonly encode: number;
  readonly decode: number;
  /** Seconds to learn the vocabulary, where it was learnt. */
  readonly trainSeconds?: number;
}

export interface TokenizersBench {
  readonly megabytes: number;
  readonly tokens: number;
  readonly ours: Speeds;
  readonly theirs?: Speeds;
  /** Lines whose ids differ. */
  readonly different?: number;
}

export interface TokenizersOptions {
  readonly python?: string;
  readonly text?: string;
  readonly tokenizer?: string;
  readonly rounds: number;
}

const DEFAULT_TEXT = '../shared/data/tinyshakespeare.txt';
const VOCABULARY = 4096;

export function benchTokenizers({
  python,
  text = DEFAULT_TEXT,
  tokenizer,
  rounds,
}: TokenizersOptions): TokenizersBench {
  const lines = readFileSync(text, 'utf8').split('\n');
  const megabytes = Buffer.byteLength(lines.join('')) / 1e6;
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-tokenizers-'));
  try {
    const file = tokenizer ?? join(folder, 'tokenizer.json');
    const trainSeconds = tokenizer === undefined ? train(lines, file) : undefined;
    const { speeds, ids } = measure(open(file), lines, megabytes, rounds);
    const peer =
      python === undefined ? undefined : askPeer(python, [text, file, join(folder, 'out.json'), `${rounds}`]);
    return {
      megabytes,
      tokens: ids.reduce((sum, line) => sum + line.length, 0),
      ours: { ...speeds, trainSeconds },
      theirs: peer?.speeds,
      different: peer && ids.filter((own, i) => own.join() !== peer.ids[i]!.join()).length,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));

function open(file: string): Tokenizer {
  const config = join(dirname(file), 'tokenizer_config.json');
  return loadTokenizer(read(file), existsSync(config) ? read(config) : undefined);
}

function train(lines: readonly string[], file: string): number {
  const started = performance.now();
  const files = trainBpe(lines, { vocabSize: VOCABULARY }).save();
  writeFileSync(file, JSON.stringify(files['tokenizer.json']));
  return (performance.now() - started) / 1000;
}

function measure(tokenizer: Tokenizer, lines: readonly string[], megabytes: number, rounds: number) {
  const speed = (work: () => void) => {
    const started = performance.now();
    work();
    return megabytes / ((performance.now() - started) / 1000);
  };
  let ids: number[][] = [];
  const encode = () => {
    ids = lines.map(line => tokenizer.encode(line));
  };
  const decode = () => {
    for (const line of ids) tokenizer.decode(line);
  };
  const firstEncode = speed(encode);
  const again = (work: () => void) => median(Array.from({ length: rounds }, () => speed(work)));
  return { speeds: { firstEncode, encode: again(encode), decode: again(decode) }, ids };
}

interface Peer {
  readonly speeds: Speeds;
  readonly ids: readonly number[][];
}

/** Runs peers/tokenizers_bench.py, which writes its figures to the third argument. */
function askPeer(python: string, args: readonly string[]): Peer {
  const script = new URL('./peers/tokenizers_bench.py', import.meta.url).pathname;
  const source = existsSync(script) ? script : 'bench/peers/tokenizers_bench.py';
  const { status, stderr } = spawnSync(python, [source, ...args], {
    encoding: 'utf8',
    env: { ...process.env, TOKENIZERS_PARALLELISM: 'false', RAYON_NUM_THREADS: '1' },
  });
  if (status !== 0) throw new Error(`${python} ${source}: ${stderr}`);
  return read(args[2]!) as Peer; // written by that script
}
