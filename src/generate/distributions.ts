/**
 * From logits to next-token distributions, for a batch of rows at once: softmax(logits · 1/T) a row.
 *
 * A graph of its own beside the model's, so that it serves every decoder (exported files included). Exponentials of a
 * whole batch take a tenth of the time that they take one by one.
 * Shapes: R rows, V vocabulary.
 */
import { float32, type Tensor } from '../graph/ir.ts';
import { Builder } from '../ops/builder.ts';
import { modelFor } from '../ops/opset.ts';
import type { Binding, CompileOptions, Program, Runtime } from '../runtime/runtime.ts';

/** Buffers of R rows: fill `logits` and `inverseTemperature`, run, read `probabilities`. */
export interface Distributions extends Disposable {
  readonly rows: number;
  /** [R, V]. */
  readonly logits: Float32Array;
  /** [R]. */
  readonly inverseTemperature: Float32Array;
  /** [R, V]. */
  readonly probabilities: Float32Array;
  run(): Promise<void>;
}

export class Normalizer implements Disposable {
  readonly #program: Program;
  readonly #vocabSize: number;

  private constructor(program: Program, vocabSize: number) {
    this.#program = program;
    this.#vocabSize = vocabSize;
  }

  static async create(
    runtime: Runtime,
    vocabSize: number,
    { threads, spinning }: CompileOptions = {},
  ): Promise<Normalizer> {
    const b = new Builder('distributions');
    const logits = b.input('logits', 'float32', ['R', vocabSize]);
    const scale = b.input('inverse_temperature', 'float32', ['R', 1]);
    b.output(logits.mul(scale).softmax(-1), 'probabilities');
    return new Normalizer(await runtime.compile(modelFor(b.graph), { threads, spinning }), vocabSize);
  }

  bind(rows: number): Distributions {
    const matrix = (): Tensor => float32([rows, this.#vocabSize], new Float32Array(rows * this.#vocabSize));
    const [logits, probabilities] = [matrix(), matrix()];
    const scale = float32([rows, 1], new Float32Array(rows).fill(1));
    const binding: Binding = this.#program.bind({ logits, inverse_temperature: scale, probabilities });
    return {
      rows,
      logits: logits.data as Float32Array,
      inverseTemperature: scale.data as Float32Array,
      probabilities: probabilities.data as Float32Array,
      run: () => binding.run(),
      [Symbol.dispose]: () => binding[Symbol.dispose](),
    };
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}
