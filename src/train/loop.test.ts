import { describe, expect, it } from 'vitest';
import { ParameterStore, zeroInit } from '../nn/parameters.ts';
import { type FileStore, memoryFiles } from '../util/files.ts';
import { hash32 } from '../util/random.ts';
import { checkpointPath, type Json, loadCheckpoint, restoreCheckpoint } from './checkpoint.ts';
import { type LoopOptions, type RunContext, type Trainable, trainLoop } from './loop.ts';
import { readMetrics } from './metrics.ts';

/** A stage whose every step depends on all that a checkpoint must keep. */
function dummy(onStep: (index: number) => void = () => {}): Trainable & { count: number } {
  const store = new ParameterStore([{ name: 'w', dims: [2, 2], init: zeroInit }]);
  const momentum = new Float32Array(3);
  const stage = {
    store,
    arrays: { momentum },
    count: 0,
    state: (): Json => ({ count: stage.count }),
    restore: (state: Json) => {
      stage.count = (state as { count: number }).count;
    },
    async step(index: number) {
      onStep(index);
      stage.count += index;
      momentum[index % 3] = (momentum[index % 3] as number) * 0.9 + hash32(`${index}`) / 2 ** 32;
      for (let i = 0; i < 4; i++)
        store.flat[i] = (store.flat[i] as number) * 1.1 + (momentum[i % 3] as number) + stage.count;
      return { loss: store.flat[0] as number, tokens: 10, flops: 100, sampling_flops: 20 };
    },
  };
  return stage;
}

const context = (files: FileStore, more: Partial<RunContext> = {}): RunContext => ({
  files,
  folder: 'run',
  checkpointSeconds: 0,
  ...more,
});
const options = (more: Partial<LoopOptions> = {}): LoopOptions => ({ stage: 'base', steps: 8, ...more });

/** What a kill must not change: weights, arrays, state, and metrics without the clock. */
async function outcome(files: FileStore, stage: Trainable) {
  const lines = await readMetrics(files, 'run');
  return {
    weights: [...stage.store.flat],
    arrays: stage.arrays.momentum?.join(),
    state: stage.state(),
    metrics: lines.map(({ stage: s, step, loss }) => ({ stage: s, step, loss })),
  };
}

describe('a stage that is stopped after any step', () => {
  it.each(Array.from({ length: 8 }, (_, i) => i))('ends like an unbroken one (step %i)', async at => {
    const [whole, wholeFiles] = [dummy(), memoryFiles()];
    const totals = await trainLoop(context(wholeFiles), whole, options());
    const files = memoryFiles();
    const broken = dummy(index => {
      if (index === at) throw new Error('killed');
    });
    await expect(trainLoop(context(files), broken, options())).rejects.toThrow('killed');
    const resumed = dummy();
    expect(await trainLoop(context(files), resumed, options())).toEqual(totals);
    expect(await outcome(files, resumed)).toEqual(await outcome(wholeFiles, whole));
  });

  it('between checkpoints goes back to the last one and drops the metrics after it', async () => {
    const files = memoryFiles();
    const broken = dummy(index => {
      if (index === 5) throw new Error('killed');
    });
    await expect(trainLoop(context(files, { checkpointSeconds: 1e6 }), broken, options())).rejects.toThrow();
    expect(await readMetrics(files, 'run')).toHaveLength(5);
    const seen: number[] = [];
    const resumed = dummy(index => void seen.push(index));
    await trainLoop(context(files), resumed, options());
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect((await readMetrics(files, 'run')).map(l => l.step)).toEqual(seen);
  });

  it('by Ctrl-C saves the step it was in', async () => {
    const files = memoryFiles();
    const stop = new AbortController();
    const stage = dummy(index => {
      if (index === 3) stop.abort();
    });
    const asked = trainLoop(
      context(files, { signal: stop.signal, checkpointSeconds: 1e6 }),
      stage,
      options(),
    );
    await expect(asked).rejects.toThrow('what was done is saved');
    expect((await loadCheckpoint(files, checkpointPath('run', 'base')))?.step).toBe(4);
  });

  it('is not trained again when it was done', async () => {
    const files = memoryFiles();
    const totals = await trainLoop(context(files), dummy(), options());
    const again = dummy(() => {
      throw new Error('trained twice');
    });
    expect(await trainLoop(context(files), again, options())).toEqual(totals);
  });
});

describe('the loop', () => {
  it('counts what a stage costs and ends it at a budget', async () => {
    const totals = await trainLoop(context(memoryFiles()), dummy(), options({ maxFlops: 350 }));
    expect(totals).toEqual({ steps: 3, tokens: 30, trainingFlops: 300, samplingFlops: 60 });
  });

  it('tells progress, evaluations and alarms', async () => {
    const files = memoryFiles();
    const told: number[] = [];
    const warnings: string[] = [];
    const more = {
      matmulRate: 1e9,
      progress: (u: { step: number; etaSeconds: number; matmulShare?: number }) => {
        told.push(u.step);
        expect(u.etaSeconds).toBeGreaterThanOrEqual(0);
        expect(u.matmulShare).toBeGreaterThan(0);
      },
      warn: (message: string) => void warnings.push(message),
    };
    const stage = dummy();
    const noisy: Trainable = {
      ...stage,
      step: async i => ({ ...(await stage.step(i)), entropy: i === 2 ? 0 : 1 }),
    };
    const evaluate = { every: 4, run: async (step: number) => ({ 'eval/pass_at_1': step / 8 }) };
    await trainLoop(context(files, more), noisy, options({ evaluate }));
    expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(warnings).toEqual([expect.stringContaining('base, step 2: entropy fell')]);
    const lines = await readMetrics(files, 'run');
    expect(lines.map(l => l['eval/pass_at_1'])).toEqual([
      undefined,
      undefined,
      undefined,
      0.5,
      undefined,
      undefined,
      undefined,
      1,
    ]);
  });
});

describe('a checkpoint', () => {
  const path = checkpointPath('run', 'base');
  const saved = async () => {
    const files = memoryFiles();
    await trainLoop(context(files), dummy(), options({ steps: 2 }));
    return files;
  };

  it('that is cut at any byte is refused in one sentence that names it', async () => {
    const files = await saved();
    const bytes = await files.read(path);
    for (let end = 0; end < bytes.length; end += 7) {
      await files.write(path, bytes.subarray(0, end));
      await expect(loadCheckpoint(files, path), String(end)).rejects.toThrow(
        /^run\/checkpoints\/base\.safetensors: [^\n]+$/,
      );
    }
  });

  it('of another configuration is refused', async () => {
    const checkpoint = (await loadCheckpoint(await saved(), path)) as NonNullable<
      Awaited<ReturnType<typeof loadCheckpoint>>
    >;
    const store = (dims: number[]) => new ParameterStore([{ name: 'w', dims, init: zeroInit }]);
    const restore = (dims: number[], arrays: Record<string, Float32Array>) => () =>
      restoreCheckpoint(checkpoint, path, store(dims), arrays);
    expect(restore([2, 2], { momentum: new Float32Array(3) })).not.toThrow();
    expect(restore([2, 3], {})).toThrow('has shape [2,2] but the model needs [2,3]');
    expect(restore([2, 2], { momentum: new Float32Array(4) })).toThrow(
      '"momentum" is missing or has another size',
    );
    expect(restore([2, 2], { variance: new Float32Array(3) })).toThrow('"variance" is missing');
  });

  it('that is not there is none', async () => {
    expect(await loadCheckpoint(memoryFiles(), path)).toBeUndefined();
  });

  it('file of another program is refused', async () => {
    const files = memoryFiles();
    const header = new TextEncoder().encode('{}      ');
    const bytes = new Uint8Array(16);
    bytes[0] = 8;
    bytes.set(header, 8);
    await files.write(path, bytes);
    await expect(loadCheckpoint(files, path)).rejects.toThrow('not a checkpoint of gaslaw');
  });
});
