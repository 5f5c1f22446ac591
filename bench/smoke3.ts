import { nativeRuntime } from '../src/runtime/native/native.ts';
import { nodeFiles } from '../src/cli/node-files.ts';
import { r1 } from '../recipes/r1/index.ts';
const size = (process.argv[2] ?? 'debug') as 'debug';
const folder = process.argv[3] ?? '/tmp/smoke/run';
const t = performance.now();
const result = await r1.run({
  files: nodeFiles(), folder, runtime: await nativeRuntime(), size, seed: Number(process.argv[4] ?? 1), version: '0', options: {},
  log: line => console.log(((performance.now() - t) / 1e3).toFixed(1), line),
  warn: line => console.log('WARN', line),
  progress: u => { if (u.step % Math.ceil(u.steps / 8) === 0) console.log(u.stage, u.step, Object.entries(u.metrics).filter(([k]) => /loss|reward|length|norm|entropy|equal|trunc|clip|rollout/.test(k)).map(([k, v]) => `${k} ${v.toFixed(3)}`).join(' '), 'tok/s', u.tokensPerSecond.toFixed(0)); },
});
console.log(result.stages.map(s => `${s.name} ${s.passAt1.toFixed(3)} ${s.passAtK.toFixed(3)} ${s.responseTokens.toFixed(1)}`).join('\n'));
