/** One line on how a stage is doing. */
import type { ProgressUpdate } from '../train/loop.ts';

const BAR = 20;

/** `zero ━━━━━━──────── 40/120  right 31 %  12.3k tok/s  61 % of matmul  2:10 left`, whole parts as far as `width` lets. */
export function progressLine(u: ProgressUpdate, width: number): string {
  let line = `${u.stage} ${bar(u.step / u.steps)} ${String(u.step).padStart(String(u.steps).length)}/${u.steps}`;
  for (const part of [...learning(u.metrics), ...speed(u)]) {
    if (line.length + 2 + part.length >= width) break;
    line += `  ${part}`;
  }
  return line.slice(0, width - 1);
}

function bar(share: number): string {
  const filled = Math.round(BAR * Math.min(1, share));
  return '━'.repeat(filled) + '─'.repeat(BAR - filled);
}

function learning(m: ProgressUpdate['metrics']): string[] {
  const parts: string[] = [];
  if (m['reward/accuracy'] !== undefined) parts.push(`right ${(100 * m['reward/accuracy']).toFixed(0)} %`);
  else if (m.loss !== undefined) parts.push(`loss ${m.loss.toFixed(3)}`);
  if (m.response_length !== undefined) parts.push(`length ${m.response_length.toFixed(0)}`);
  if (m.entropy !== undefined) parts.push(`entropy ${m.entropy.toFixed(2)}`);
  return parts;
}

function speed(u: ProgressUpdate): string[] {
  const left = u.step < u.steps ? [`${clock(u.etaSeconds)} left`] : [];
  const share = u.matmulShare === undefined ? [] : [`${(100 * u.matmulShare).toFixed(0)} % of matmul`];
  const rate = u.tokensPerSecond ? [`${thousands(u.tokensPerSecond)} tok/s`] : [];
  return [...left, ...rate, ...share];
}

const thousands = (n: number): string => (n >= 1000 ? `${(n / 1000).toFixed(1)}k` : n.toFixed(0));

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** What a training loop without tokens tells: the time left goes by the steps so far. */
export function trainingProgress(
  stage: string,
  started: number,
): (step: number, steps: number, metrics: ProgressUpdate['metrics']) => ProgressUpdate {
  return (step, steps, metrics) => {
    const seconds = (performance.now() - started) / 1000;
    return { stage, step, steps, metrics, etaSeconds: (seconds / step) * (steps - step) };
  };
}
