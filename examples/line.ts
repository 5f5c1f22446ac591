import { writeFileSync } from 'node:fs';
import * as g from '../src/index.ts';

const model = (trace: g.ParameterTrace, x: g.Value) => g.linear(trace.scope('line'), x, 1);

// Writing a model traces a graph; differentiating extends it.
const b = new g.Builder('training');
const trace = new g.ParameterTrace(b);
const error = model(trace, b.input('x', 'float32', ['rows', 2])).sub(b.input('y', 'float32', ['rows', 1]));
const loss = error.mul(error).mean(undefined, false);
b.output(g.gradients(b, loss, trace.values())[0], 'gradient');

// It runs on arrays that you own; an optimizer step is a graph too, and updates them in place.
const store = new g.ParameterStore(trace.specs).initialize(new g.Random(1));
const gradient = new Float32Array(store.flat.length);
const runtime = await g.nativeRuntime();
const program = await runtime.compile(g.modelOf(g.lower(b.graph)));
const step = program.bind({
  x: g.float32([4, 2], [0, 1, 1, 0, 1, 1, 2, 1]),
  y: g.float32([4, 1], [3, 2, 5, 7]), // 2a + 3b
  'line.weight': store.tensor('line.weight'),
  gradient: store.tensor('line.weight', gradient),
});
const optimizer = await g.adamw(runtime, store, gradient, { weightDecay: 0 });
for (let i = 0; i < 500; i++) {
  await step.run();
  await optimizer.step(0.05, 1);
}

// Deploying writes the graph to a file: the same model, traced with its weights inside.
const deployed = new g.Builder('line');
const fixed = new g.ParameterTrace(deployed, name => store.tensor(name));
deployed.output(model(fixed, deployed.input('x', 'float32', ['rows', 2])), 'y');
writeFileSync('line.onnx', g.encodeModel(g.modelOf(deployed.graph)));
console.log(store.tensor('line.weight').data); // 2 and 3
