/**
 * Recovery of what a compression step lost: the compressed model learns from the model as it was.
 *
 * 1. Inputs come from a caller's batches (labelled or not, augmented or not); the teacher answers the very same inputs.
 * 2. Everything else (optimizers, schedules, exact resume) is fine-tuning.
 */
import type { Graph, Model, Tensor } from '../../graph/ir.ts';
import { typeOf } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import type { Program, Runtime } from '../../runtime/runtime.ts';
import { type FineTuneOptions, fineTuning, type GraphTraining } from '../../train/fine-tune.ts';
import { type Feeds, logitsName } from '../../train/graph-learner.ts';
import { distillation, type TeacherValues, type Term, teacherValues } from './terms.ts';

export interface RecoveryOptions extends Omit<FineTuneOptions, 'loss'> {
  readonly terms: readonly Term[];
}

/** A stage in which `student` learns from `teacher`; both with types known, `student` made from `teacher`'s graph. */
export async function recovery(
  runtime: Runtime,
  student: Graph,
  teacher: Model,
  { terms, ...options }: RecoveryOptions,
): Promise<GraphTraining> {
  const asked = await Teacher.create(runtime, teacher, teacherValues(terms, teacher.graph), options.threads);
  const training = await fineTuning(runtime, student, {
    ...options,
    loss: distillation(terms, teacher.graph),
    data: async (index, random) => Promise.all((await options.data(index, random)).map(f => asked.answer(f))),
  });
  return {
    ...training,
    [Symbol.dispose]() {
      training[Symbol.dispose]();
      asked[Symbol.dispose]();
    },
  };
}

/** A model that is asked for logits and features. */
class Teacher implements Disposable {
  readonly #program: Program;
  readonly #logits: string | undefined;
  readonly #features: readonly string[];
  readonly #inputs: ReadonlySet<string>;

  private constructor(program: Program, logits: string | undefined, features: readonly string[]) {
    this.#program = program;
    this.#logits = logits;
    this.#features = features;
    this.#inputs = new Set(program.inputs.map(i => i.name));
  }

  static async create(
    runtime: Runtime,
    model: Model,
    { logits, features }: TeacherValues,
    threads?: number,
  ): Promise<Teacher> {
    const graph = cloneGraph(model.graph);
    const name = logits ? logitsName(graph, graph.outputs[0]?.name as string) : undefined;
    const names = [...new Set([...(name === undefined ? [] : [name]), ...features])];
    if (names.length > 0)
      graph.outputs = names.map(n => ({ name: n, ...(typeOf(graph, n) ?? { dtype: 'float32' as const }) }));
    return new Teacher(await runtime.compile({ ...model, graph }, { threads }), name, features);
  }

  /** `feeds`, and what the teacher says to them. */
  async answer(feeds: Feeds): Promise<Feeds> {
    const own = Object.fromEntries(Object.entries(feeds).filter(([name]) => this.#inputs.has(name)));
    const values = await this.#program.call(own);
    const taken: Record<string, Tensor> = { ...feeds };
    for (const name of this.#features) taken[`teacher:${name}`] = values[name] as Tensor;
    if (this.#logits !== undefined) taken.teacher = asRows(values[this.#logits] as Tensor);
    return taken;
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
  }
}

const asRows = (t: Tensor): Tensor => {
  const rows = t.dims[0] as number;
  return { ...t, dims: [rows, t.data.length / rows] };
};
