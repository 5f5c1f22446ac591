import { BinaryReader } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { memoryFiles } from '../util/files.ts';
import { appendMetrics, readMetrics, rewindMetrics } from './metrics.ts';

const line = (stage: string, step: number, loss: number) => ({ stage, step, time: 100 + step, loss });

async function written() {
  const files = memoryFiles();
  for (const l of [line('base', 0, 3), line('base', 1, 2), line('zero', 0, 5), line('zero', 1, 4)])
    await appendMetrics(files, 'run', [l]);
  return files;
}

/** Steps of the events in a file, read with no more than the record format: length, CRC, message, CRC. */
function stepsOf(bytes: Uint8Array): number[] {
  const steps: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    steps.push(stepOf(new BinaryReader(bytes.subarray(at + 12, at + 12 + length))));
    at += length + 16;
  }
  return steps;
}

function stepOf(reader: BinaryReader): number {
  let step = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 2) step = Number(reader.int64());
    else reader.skip(type);
  }
  return step;
}

const EVENTS = (stage: string) => `run/tensorboard/${stage}/events.out.tfevents.gaslaw`;

describe('metrics of a run', () => {
  it('are lines of JSON, and an event file for each stage', async () => {
    const files = await written();
    expect((await readMetrics(files, 'run')).map(l => l.loss)).toEqual([3, 2, 5, 4]);
    expect(stepsOf(await files.read(EVENTS('base')))).toEqual([0, 0, 1]); // the first says the version
    expect(await files.list('run/tensorboard')).toEqual(['base', 'zero']);
  });

  it('a torn last line is left out', async () => {
    const files = await written();
    await files.append('run/metrics.jsonl', '{"stage":"zero","st');
    expect(await readMetrics(files, 'run')).toHaveLength(4);
  });

  it('rewind to what an unbroken run would have written, whatever a kill left', async () => {
    const [broken, whole] = [await written(), memoryFiles()];
    await broken.append(EVENTS('zero'), new Uint8Array(7));
    await broken.append('run/metrics.jsonl', '{"stage":');
    await rewindMetrics(broken, 'run', 'zero', 1);
    for (const l of [line('base', 0, 3), line('base', 1, 2), line('zero', 0, 5)])
      await appendMetrics(whole, 'run', [l]);
    for (const path of ['run/metrics.jsonl', EVENTS('base'), EVENTS('zero')])
      expect(await broken.read(path), path).toEqual(await whole.read(path));
  });

  it('a stage that starts afresh has no lines and no events', async () => {
    const files = await written();
    await rewindMetrics(files, 'run', 'base', 0);
    expect(await readMetrics(files, 'run')).toEqual([]);
    expect(await files.exists('run/tensorboard')).toBe(false);
  });

  it('NaN survives as an event', async () => {
    const files = memoryFiles();
    await appendMetrics(files, 'run', [line('base', 1, Number.NaN)]);
    const before = await files.read(EVENTS('base'));
    await rewindMetrics(files, 'run', 'base', 2);
    expect(await files.read(EVENTS('base'))).toEqual(before);
  });
});
