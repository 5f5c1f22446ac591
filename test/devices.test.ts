/** Commands about devices as people and scripts use them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { modelOf } from '../src/graph/ir.ts';
import { encodeModel } from '../src/graph/protobuf.ts';
import { Builder } from '../src/ops/builder.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-devices-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const cli = (...args: string[]) => gaslaw(folder, args);

it('gaslaw devices lists all, shows one, and prints where each figure was read', { timeout: 600_000 }, () => {
  const devices = jsonOf(cli('devices', '--json')) as Record<string, unknown>[];
  for (const device of devices)
    expect(Object.keys(device)).toEqual(['id', 'family', 'name', 'formats', 'confidence']);
  expect(devices.map(d => d.id)).toContain('stm32n6');
  expect(cli('devices', 'stm32n6').stdout).toMatch(/clock +1.GHz\n.*300.GMAC\/s\nmemory ram +4\.2.MB/);
  expect(jsonOf(cli('devices', 'stm32n6', '--json'))).toMatchObject({ family: 'stmicroelectronics' });
  expect(cli('devices', 'arm-ethos-u55-128').stdout).toContain('bricks of 16 channels');
  expect(cli('devices', 'stm32n6', '--evidence').stdout).toContain('https://stedgeai-dc.st.com');
  expect(cli('devices', 'ethos').status).toBe(2);
});

it('gaslaw check says what does not deploy, and --fix writes a model that does', { timeout: 600_000 }, () => {
  const b = new Builder('small');
  const x = b.input('x', 'float32', ['batch', 4, 5, 5]);
  b.output(b.op('AveragePool', [x], { kernel_shape: [5, 5] }), 'y');
  const model = { ...modelOf(b.graph), opsets: new Map([['', 21]]) };
  writeFileSync(join(folder, 'm.onnx'), encodeModel(model));
  const refused = cli('check', 'm.onnx', '--device', 'ti-am68a', '--json');
  expect(refused.status).toBe(1);
  const report = JSON.parse(refused.stdout) as Record<string, unknown>;
  expect(report).toMatchObject({ device: 'ti-am68a', deploys: false });
  expect((report.findings as { severity: string }[]).map(f => f.severity)).toEqual([
    'error',
    'error',
    'fallback',
  ]);
  const repaired = jsonOf(cli('check', 'm.onnx', '--device', 'ti-am68a', '--fix', 'f.onnx', '--json'));
  expect(repaired).toMatchObject({ deploys: true, findings: [], output: 'f.onnx' });
  expect(cli('check', 'f.onnx', '--device', 'ti-am68a').stdout).toContain('ti-am68a: deploys');
  const told = cli('check', 'm.onnx', '--device', 'ti-am68a').stdout;
  expect(told).toContain('no: dimension batch has no number; give --dim batch=N');
  expect(told).toContain('  fix: give it a number: --dim batch=N (--fix does it)');
  expect(cli('check', 'm.onnx', '--device', 'ti-am68a', '--dim', 'batch').status).toBe(2);
  expect(cli('check', 'm.onnx').status).toBe(2);
});

it('gaslaw check reads TFLite files, and estimates them with the error on held-out rows', {
  timeout: 600_000,
}, () => {
  const file = join(import.meta.dirname, '../src/formats/tflite/fixtures/kws_ref_model.tflite');
  const report = jsonOf(cli('check', file, '--device', 'stm32u575', '--json'));
  // published for this very network on this board: 29.1 ms
  expect(report).toMatchObject({ deploys: true, estimate: { precision: 'int8', basis: 'device' } });
  const { estimatedMs } = report as { estimatedMs: number };
  expect(estimatedMs).toBeGreaterThan(29.1 / 2);
  expect(estimatedMs).toBeLessThan(29.1 * 2);
  expect(cli('check', file, '--device', 'stm32u575').stdout).toMatch(
    /estimated .* on STM32U575.* off by .* in the median, nine in ten within a factor of .*, rank correlation/,
  );
  expect(jsonOf(cli('check', file, '--device', 'arm-ethos-u55-128', '--json'))).toMatchObject({
    deploys: true,
  });
});

it('gaslaw convert writes graphs as TFLite and as a C header', { timeout: 600_000 }, () => {
  const file = join(import.meta.dirname, '../src/formats/tflite/fixtures/kws_ref_model.tflite');
  jsonOf(cli('convert', file, '--to', 'onnx', '--out', 'kws.onnx', '--json'));
  const written = jsonOf(cli('convert', 'kws.onnx', '--to', 'tflite', '--out', 'kws.tflite', '--json'));
  expect(written).toMatchObject({ output: 'kws.tflite', to: 'tflite' });
  jsonOf(cli('convert', 'kws.tflite', '--to', 'c-array', '--out', 'kws.h', '--json'));
  expect(readFileSync(join(folder, 'kws.h'), 'utf8')).toContain('static const unsigned char kws[]');
  expect(jsonOf(cli('check', 'kws.tflite', '--device', 'arm-ethos-u55-128', '--json'))).toMatchObject({
    deploys: true,
  });
  expect(cli('convert', 'kws.onnx', '--to', 'gguf', '--out', 'x').status).toBe(2);
});
