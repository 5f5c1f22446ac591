/** Facts about the lists: the WebGPU one against the table that its package carries, and what findings say of their source. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { modelOf } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { isOpType, type OpType } from '../../ops/schema.ts';
import { check } from '../check.ts';
import { DEVICES, deviceOf } from '../index.ts';
import { operatorsOf } from './index.ts';
import { TIDL_OPS, WEBGPU_OPS } from './op-lists.ts';

const table = new URL('../../../node_modules/onnxruntime-web/docs/webgpu-operators.md', import.meta.url);

it("the WebGPU list is the package's own table, as far as its ops are known here", () => {
  const rows = readFileSync(table, 'utf8').split('\n');
  const named = rows.flatMap(row => {
    const [, name, domains] = row.split('|').map(cell => cell.trim());
    if (!name || !domains) return [];
    const both = [
      domains.includes('ai.onnx') && name,
      domains.includes('com.microsoft') && `com.microsoft.${name}`,
    ];
    return both.filter((key): key is OpType => key !== false && isOpType(key));
  });
  expect([...WEBGPU_OPS.ops].sort()).toEqual(named.sort());
});

it('no list names an op twice', () => {
  for (const device of DEVICES) {
    const names = operatorsOf(device)?.value.split(', ') ?? [];
    expect(new Set(names).size).toBe(names.length);
  }
  expect(TIDL_OPS.ops.length).toBeGreaterThan(60); // its table has 60 rows, some with several ops
});

it('the evidence of every accelerator names its operators, of Ambarella none', () => {
  const without = DEVICES.filter(device => !operatorsOf(device)).map(device => device.kind);
  expect([...new Set(without)].sort()).toEqual(['cpu-arm64', 'cpu-x86', 'cvflow']);
});

/** x of [1,8,8,8] through one op. */
function through(op: OpType): ReturnType<typeof modelOf> {
  const b = new Builder('one');
  b.output(b.op(op as 'Asinh', [b.input('x', 'float32', [1, 8, 8, 8])], {}), 'y'); // unary ops
  return modelOf(b.graph);
}

it.each([
  ['snapdragon-8-gen-3', 'Asinh', 'vendor-doc'],
  ['stm32n6', 'Asinh', 'low'],
  ['arm-cortex-m4', 'Asinh', 'vendor-doc'],
  ['webgpu', 'Softplus', 'vendor-doc'],
  ['nvidia-jetson-orin-nano', 'Det', 'vendor-doc'],
  ['intel-cpu', 'Det', 'vendor-doc'],
] as const)('%s has no %s: %s', (id, op, confidence) => {
  const finding = check(through(op), deviceOf(id)).findings.find(f => f.why.includes(`no ${op}`));
  expect(finding?.confidence).toBe(confidence);
});

it.each([
  ['snapdragon-8-gen-3', 'Ceil'],
  ['stm32l4r5', 'Asinh'],
  ['ti-am62a', 'Mish'],
  ['stm32mp25', 'Softplus'],
] as const)('%s has %s', (id, op) => {
  expect(check(through(op), deviceOf(id)).findings.map(f => f.why)).not.toContainEqual(
    expect.stringContaining(`no ${op}`),
  );
});
