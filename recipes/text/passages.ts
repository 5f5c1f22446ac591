/**
 * Beginnings of held-out text that a model goes on with: what it writes, beside what stands there.
 *
 * 1. They start at line beginnings spread over the held-out part, a third of the context long; the model writes the rest.
 */
import { Decoder } from '../../src/generate/decoder.ts';
import { openEngine } from '../../src/generate/open.ts';
import type { CausalModel } from '../../src/models/model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import type { Passage } from '../../src/train/run.ts';
import { Random } from '../../src/util/random.ts';

export interface PassageOptions {
  readonly count: number;
  readonly temperature: number;
  readonly seed: number;
}

/** Fewer than `count` when the held-out part is short. */
export async function writePassages(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  tokenizer: Tokenizer,
  heldOut: Int32Array,
  { count, temperature, seed }: PassageOptions,
): Promise<Passage[]> {
  const length = model.maxPositions;
  const begun = Math.floor(length / 3);
  const lineBreak = heldOut.find(id => tokenizer.tokenOf(id) === '\n');
  const starts = passageStarts(heldOut, lineBreak, { count, length });
  using open = openEngine(await Decoder.create(runtime, model, store.tensors()), { slots: count });
  const random = new Random(seed);
  const written = await open.engine.generate(
    starts.map(at => ({
      prompt: [...heldOut.subarray(at, at + begun)],
      maxTokens: length - begun,
      temperature,
      seed: random.int(2 ** 31),
    })),
  );
  return starts.map((at, i) => ({
    begun: tokenizer.decode(heldOut.subarray(at, at + begun)),
    written: tokenizer.decode(written[i]?.ids ?? [], { skipControl: true }),
    actual: tokenizer.decode(heldOut.subarray(at + begun, at + length)),
  }));
}

/** The first place after a line break (and an empty line) in each of `count` equal parts of the text, where `length` tokens follow. */
export function passageStarts(
  ids: Int32Array,
  lineBreak: number | undefined,
  { count, length }: { readonly count: number; readonly length: number },
): number[] {
  const part = Math.floor(ids.length / count);
  const next = (from: number) => {
    if (lineBreak === undefined) return from;
    const at = ids.indexOf(lineBreak, from) + 1;
    return ids[at] === lineBreak ? at + 1 : at;
  };
  const starts = Array.from({ length: count }, (_, i) => next(i * part));
  const room = (at: number, i: number) => at >= i * part && at + length <= ids.length;
  return [...new Set(starts.filter(room))];
}
