import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { float32, type Tensor, zeros } from '../src/graph/ir.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { addition, collectGarbage, diagonal, modelOfBody, noise, perceptron } from './runtime-models.ts';

const runtime = await nativeRuntime();
const values = ({ data }: Tensor): number[] => Array.from(data as Float32Array);

describe('bindings', () => {
  test('a run reads and writes the arrays of the caller', async () => {
    using program = await runtime.compile(addition());
    const [a, b, c] = [float32([3], [1, 2, 3]), float32([3], [10, 20, 30]), zeros('float32', [3])];
    using binding = program.bind({ a, b, c });
    await binding.run();
    expect(values(c)).toEqual([11, 22, 33]);
    (a.data as Float32Array)[0] = 5;
    await binding.run();
    expect(values(c)).toEqual([15, 22, 33]);
  });

  test('one tensor bound as input and output is updated in place', async () => {
    using program = await runtime.compile(addition());
    const [a, b] = [float32([3], [1, 2, 3]), float32([3], [10, 20, 30])];
    using binding = program.bind({ a, b, c: a });
    await binding.run();
    await binding.run();
    expect(values(a)).toEqual([21, 42, 63]);
  });

  test('arrays of a few bytes stay where native code looks while garbage is collected', async () => {
    using program = await runtime.compile(addition());
    const tensors = Array.from({ length: 300 }, (_, i) => {
      const [a, b, c] = [float32([1], [i]), float32([1], [1]), zeros('float32', [1])];
      return { i, c, binding: program.bind({ a, b, c }) };
    });
    collectGarbage();
    collectGarbage();
    for (const { binding } of tensors) await binding.run();
    expect(tensors.filter(({ i, c }) => c.data[0] !== i + 1)).toEqual([]);
  });

  test('views into one buffer and shared memory can be bound', async () => {
    using program = await runtime.compile(addition());
    const memory = new Float32Array(new SharedArrayBuffer(36));
    memory.set([1, 2, 3, 10, 20, 30]);
    const part = (at: number): Tensor => ({ dtype: 'float32', dims: [3], data: memory.subarray(at, at + 3) });
    using binding = program.bind({ a: part(0), b: part(3), c: part(6) });
    await binding.run();
    expect(Array.from(memory.subarray(6))).toEqual([11, 22, 33]);
  });

  test('empty tensors pass', async () => {
    using program = await runtime.compile(addition());
    const [a, b, c] = [zeros('float32', [0]), zeros('float32', [0]), zeros('float32', [0])];
    using binding = program.bind({ a, b, c });
    await binding.run();
    expect((await program.call({ a, b })).c).toEqual(c);
  });

  test('an output of another shape than bound is refused', async () => {
    const model = modelOfBody(b => {
      b.output(b.op('NonZero', [b.input('x', 'float32', [3])], {}), 'y');
    });
    using program = await runtime.compile(model);
    using binding = program.bind({ x: float32([3], [1, 0, 1]), y: zeros('int64', [1, 3]) });
    await expect(binding.run()).rejects.toThrow(/shape|\{1,2\}/i);
  });
});

describe('weights', () => {
  test('two programs share one large initializer, which survives garbage collection', async () => {
    const programs = await (async () => {
      const model = perceptron(diagonal(32, 2));
      return [await runtime.compile(model), await runtime.compile(model, { background: true })];
    })();
    collectGarbage();
    const x = float32(
      [1, 32],
      Array.from({ length: 32 }, (_, i) => i),
    );
    for (const program of programs) {
      expect(values((await program.call({ x })).y as Tensor)).toEqual(values(x).map(v => 4 * v));
      program[Symbol.dispose]();
    }
  });

  test('a large initializer that the optimizer folds away gives the same result', async () => {
    const model = modelOfBody(b => {
      const w = b.initializer('w', diagonal(32, 3));
      const transposed = b.op('Transpose', [w.add(1)], { perm: [1, 0] });
      b.output(b.op('MatMul', [b.input('x', 'float32', [1, 32]), transposed], {}), 'y');
    });
    using program = await runtime.compile(model);
    const x = float32([1, 32], new Float32Array(32).fill(1));
    expect(values((await program.call({ x })).y as Tensor)).toEqual(new Array(32).fill(35));
  });
});

describe('options', () => {
  const folders: string[] = [];
  afterEach(() => folders.splice(0).forEach(folder => void rmSync(folder, { recursive: true })));

  test('a background run leaves the event loop free', async () => {
    using program = await runtime.compile(perceptron(noise([512, 512])), { background: true, threads: 1 });
    const [x, y] = [noise([512, 512]), zeros('float32', [512, 512])];
    using binding = program.bind({ x, y });
    const order: string[] = [];
    const run = binding.run().then(() => order.push('run'));
    await new Promise<void>(resolve => setImmediate(resolve)).then(() => order.push('loop'));
    await expect(binding.run()).rejects.toThrow('still running');
    await run;
    expect(order).toEqual(['loop', 'run']);
  });

  test('disposing during a background run waits for it', async () => {
    const program = await runtime.compile(perceptron(noise([256, 256])), { background: true });
    const [x, y] = [noise([256, 256]), zeros('float32', [256, 256])];
    const binding = program.bind({ x, y });
    const run = binding.run();
    binding[Symbol.dispose]();
    program[Symbol.dispose]();
    await run;
    expect(values(y).some(v => v !== 0)).toBe(true);
  });

  test('every other option gives the same numbers', async () => {
    const model = perceptron(noise([64, 64]));
    const x = noise([8, 64], 1);
    using plain = await runtime.compile(model, { threads: 1, optimization: 'disabled' });
    const expected = values((await plain.call({ x })).y as Tensor);
    const variants = [
      { lowMemory: true },
      { spinning: true },
      { spinning: false },
      { memoryLimitBytes: 1e8 },
    ];
    for (const options of variants) {
      using program = await runtime.compile(model, { threads: 2, ...options });
      const got = values((await program.call({ x })).y as Tensor);
      expect(Math.max(...got.map((v, i) => Math.abs(v - (expected[i] as number))))).toBeLessThan(1e-5);
    }
  });

  test('a run that needs more than memoryLimitBytes fails in one sentence', async () => {
    using program = await runtime.compile(perceptron(noise([64, 64])), { memoryLimitBytes: 1 << 20 });
    await expect(program.call({ x: noise([65536, 64]) })).rejects.toThrow(/MatMul node ".*": .*memory/i);
    using unlimited = await runtime.compile(perceptron(noise([64, 64])));
    expect((await unlimited.call({ x: noise([65536, 64]) })).y?.dims).toEqual([65536, 64]);
  });

  test('programs with different limits can be compiled at once', async () => {
    const compile = (memoryLimitBytes: number) =>
      runtime.compile(perceptron(noise([64, 64])), { memoryLimitBytes, background: true });
    const [small, large] = await Promise.all([compile(1 << 20), compile(1 << 28)]);
    const x = noise([65536, 64]);
    await expect(small.call({ x })).rejects.toThrow(/memory/i);
    expect((await large.call({ x })).y.dims).toEqual([65536, 64]);
    for (const program of [small, large]) program[Symbol.dispose]();
  });

  test('profile writes a file with that prefix', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gaslaw-profile-'));
    folders.push(folder);
    const program = await runtime.compile(addition(), { profile: join(folder, 'run') });
    await program.call({ a: noise([4]), b: noise([4]) });
    program[Symbol.dispose]();
    expect(readdirSync(folder).filter(name => name.startsWith('run'))).toHaveLength(1);
  });

  test('providers that are not there are named', async () => {
    await expect(runtime.compile(addition(), { provider: 'wasm' })).rejects.toThrow('web runtime');
    const cuda = runtime.compile(addition(), { provider: 'cuda' });
    await cuda.then(
      program => program[Symbol.dispose](),
      error => expect(String(error)).toContain('provider "cuda"'),
    );
  });
});

describe('values and errors', () => {
  test('strings go through call, not through bind', async () => {
    const model = modelOfBody(b => {
      b.output(b.op('Identity', [b.input('x', 'string', ['n'])], {}), 'y');
    });
    using program = await runtime.compile(model);
    const x: Tensor = { dtype: 'string', dims: [3], data: ['', 'é', 'abc'] };
    expect((await program.call({ x })).y).toEqual(x);
    expect(() => program.bind({ x, y: { ...x, data: ['', '', ''] } })).toThrow('use call');
  });

  test('ops that only differentiation understands are lowered', async () => {
    const model = modelOfBody(b => {
      b.output(b.op('gaslaw.StopGradient', [b.input('x', 'float32', ['n'])], {}), 'y');
    });
    using program = await runtime.compile(model);
    expect((await program.call({ x: float32([2], [1, 2]) })).y).toEqual(float32([2], [1, 2]));
  });

  test('a failing run names op and node, and the program runs on', async () => {
    const model = modelOfBody(b => {
      const [x, y] = [b.input('x', 'float32', ['n', 'k']), b.input('y', 'float32', ['k2', 'm'])];
      b.output(b.op('MatMul', [x, y], {}), 'z');
    });
    using program = await runtime.compile(model);
    const wrong = program.call({ x: noise([2, 3]), y: noise([4, 5]) });
    await expect(wrong).rejects.toThrow(/^the run failed: MatMul node "MatMul.*": [^\n]*$/);
    expect((await program.call({ x: noise([2, 3]), y: noise([3, 5]) })).z?.dims).toEqual([2, 5]);
  });

  test('a library that is not one is refused, without a fallback', async () => {
    const library = join(tmpdir(), 'no-such-library.so');
    expect(existsSync(library)).toBe(false);
    await expect(nativeRuntime({ library })).rejects.toThrow(library);
  });
});
