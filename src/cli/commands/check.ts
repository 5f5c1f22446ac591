/** `gaslaw check <model> --device ID`: what will not deploy, or will run elsewhere, why, and the fix. */
import { Command } from 'commander';
import { type CheckReport, check, type Finding, fixed } from '../../devices/check.ts';
import { deviceOf } from '../../devices/index.ts';
import type { Estimate } from '../../devices/latency/estimate.ts';
import type { HeldOutError } from '../../devices/latency/held-out.ts';
import { machineTimes, THIS_MACHINE, type TimedHere, timedHere } from '../../devices/latency/this-machine.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { loadOnnx, locateModel } from '../../models/resolve.ts';
import { assertDims, bindDims, symbolsOf } from '../../ops/bind-dims.ts';
import { bytes, milliseconds, percent } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import { openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { type Dims, dimOption, GRAPH_FILE, JSON_OPTION } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { pairs } from '../table.ts';

interface Options {
  readonly device: string;
  readonly dim?: Dims;
  readonly fix?: string;
  readonly json?: boolean;
}

export const checkCommand = (): Command =>
  new Command('check')
    .description(
      'what of a model does not deploy on a device, why, and the fix; ends with status 1 where it does not deploy',
    )
    .argument('<model>', GRAPH_FILE)
    .requiredOption('--device <id>', 'see gaslaw devices')
    .option(...dimOption())
    .option('--fix <file>', 'write the model with all safe fixes applied')
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: Options): Promise<void> {
  const output = createOutput(o.json ?? false);
  const [device, dims, files] = [deviceOf(o.device), o.dim ?? new Map<string, number>(), nodeFiles()];
  const place = await locateModel(files, path);
  if (place.kind !== 'onnx')
    throw new UsageError(
      `${path}: check reads .onnx and .tflite files; export the model first: gaslaw convert ${path} --to onnx --out FOLDER`,
    );
  const { model } = await loadOnnx(files, place.path);
  assertDims(model.graph, dims);
  const given = dims.size > 0 ? { ...model, graph: bindDims(model.graph, dims, 'batch') } : model;
  const repaired = o.fix === undefined ? undefined : fixed(given, device, dims);
  if (repaired && o.fix) await files.write(o.fix, encodeModel(repaired.model));
  const checked = repaired?.model ?? given;
  const runtime = device.id === THIS_MACHINE ? await openRuntime(output) : undefined;
  const report = {
    ...check(checked, device),
    ...(runtime && (await timedHere(runtime, checked, await machineTimes(runtime)))),
  };
  output.result({ ...report, ...(repaired && { output: o.fix, applied: repaired.applied }) }, () => [
    ...(repaired?.applied ?? []).map(f => `fixed ${placeOf(f)}: ${f.why}; ${f.rewrite}`),
    ...(repaired ? [`written to ${o.fix}`] : []),
    ...lines(report, o.fix ?? path, symbolsOf(checked.graph.inputs)[0]),
  ]);
  if (!report.deploys) process.exitCode = 1;
}

const placeOf = ({ node, op }: Finding): string => (node === '' ? 'the model' : `${node} (${op})`);

/** `symbol` is a dimension of an input that has no number. */
function lines(report: CheckReport & Partial<TimedHere>, path: string, symbol: string | undefined): string[] {
  const { bold, green, red } = stdoutColors();
  const { findings, deploys, device } = report;
  const verdict = deploys ? green('deploys') : red('does not deploy');
  const rows: (readonly [string, string])[] = [
    [
      'estimated',
      report.measuredMs === undefined
        ? estimateText(report.estimate, symbol)
        : milliseconds(report.estimatedMs),
    ],
    ...(report.measuredMs === undefined ? [] : [['measured', milliseconds(report.measuredMs)] as const]),
    ...(report.activationBytes === undefined
      ? []
      : [['activations', bytes(report.activationBytes)] as const]),
    ['weights', bytes(report.weightBytes)],
    ['findings', String(findings.length)],
  ];
  return [
    `${bold(device)}: ${verdict}`,
    ...pairs(rows),
    ...findings.flatMap(f => findingLines(f, path, device)),
  ];
}

/** `21 ms (int8; on models it never saw off by 14 % in the median, rank correlation 0.85, 9 rows)` */
function estimateText(e: Estimate | undefined, symbol: string | undefined): string {
  if (!e && symbol !== undefined) return `no: dimension ${symbol} has no number; give --dim ${symbol}=N`;
  if (!e) return 'no: nobody published measurements of such a device';
  const errors = [errorText('models', e.unseenModels), errorText('devices', e.unseenDevices)].filter(
    text => text !== '',
  );
  const basis = e.rig ? ` on ${e.rig}` : ', from other devices of its kind';
  return `${milliseconds(e.ms)} (${[`${e.precision}${basis}`, ...errors].join('; ')})`;
}

const errorText = (what: string, error: HeldOutError | undefined): string =>
  error
    ? `${what} it never saw: off by ${percent(error.medianError)} in the median, nine in ten within a factor of ${error.factor90.toFixed(1)}, rank correlation ${error.rankCorrelation.toFixed(2)}, ${error.rows} rows`
    : '';

function findingLines(f: Finding, path: string, device: string): string[] {
  const { severity, why, source, confidence, rewrite } = f;
  return [
    `${severity}: ${placeOf(f)}: ${why}`,
    `  fix: ${fixText(f, path, device)}${rewrite ? ' (--fix does it)' : ''}`,
    `  ${source}${confidence === 'low' ? ' (low confidence: not from a table of the maker)' : ''}`,
  ];
}

/** With the command or option that does it, where there is one. */
function fixText({ fix, rewrite }: Finding, path: string, device: string): string {
  const symbol = rewrite === 'bind-dims' ? /^give dimension (.+) a number$/.exec(fix)?.[1] : undefined;
  if (symbol !== undefined) return `give it a number: --dim ${symbol}=N`;
  const dtype = /^quantize it to (int8|int16)/.exec(fix)?.[1];
  if (dtype === undefined) return fix;
  const onnx = deviceOf(device).formats.value.some(format => format.startsWith('onnx'));
  const out = path.replace(/\.[^.]*$/, `-${dtype}.${onnx ? 'onnx' : 'tflite'}`);
  return `${fix}: gaslaw quantize ${path} --dtype ${dtype} --device ${device} --out ${out}`;
}
