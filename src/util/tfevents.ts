/**
 * TensorBoard's event files: scalars and texts.
 *
 * 1. A file is a row of records: length (u64), its masked CRC-32C (u32), an Event message, its masked CRC-32C.
 *    The first event only says the version.
 * 2. Only appending is needed.
 * Source: TensorFlow's record_writer; field numbers of event, summary and tensor messages; bytes as tensorboardX
 * (2.6) writes them.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { crc32c } from './crc32c.ts';
import { concatBytes, type FileStore } from './files.ts';

export interface TensorboardEvent {
  /** Seconds since 1970. */
  readonly wallTimeSeconds: number;
  readonly step: number;
  /** Values by slash-separated name; NaN and infinities are kept. */
  readonly scalars?: Readonly<Record<string, number>>;
  /** Markdown texts by name. */
  readonly texts?: Readonly<Record<string, string>>;
}

const DT_STRING = 7;
const { Varint, Bit32, Bit64, LengthDelimited } = WireType;

/** The record that starts every file. */
const versionRecord = (wallTimeSeconds: number): Uint8Array =>
  record(eventHead(wallTimeSeconds).tag(3, LengthDelimited).string('brain.Event:2').finish());

/** The records of an event: one for each value, as TensorBoard's own writers do. */
function eventRecords(event: TensorboardEvent): Uint8Array {
  const scalars = Object.entries(event.scalars ?? {}).map(([tag, value]) => scalarValue(tag, value));
  const texts = Object.entries(event.texts ?? {}).map(([tag, text]) => textValue(tag, text));
  return concatBytes([...scalars, ...texts].map(value => record(summaryEvent(event, value))));
}

const eventHead = (wallTimeSeconds: number): BinaryWriter =>
  new BinaryWriter().tag(1, Bit64).double(wallTimeSeconds);

function summaryEvent({ wallTimeSeconds, step }: TensorboardEvent, value: Uint8Array): Uint8Array {
  const writer = eventHead(wallTimeSeconds);
  if (step !== 0) writer.tag(2, Varint).int64(step);
  const summary = new BinaryWriter().tag(1, LengthDelimited).bytes(value).finish();
  return writer.tag(5, LengthDelimited).bytes(summary).finish();
}

const scalarValue = (tag: string, value: number): Uint8Array =>
  new BinaryWriter().tag(1, LengthDelimited).string(tag).tag(2, Bit32).float(Math.fround(value)).finish();

/** A text is a string tensor of shape [1] that the plugin `text` shows. */
function textValue(tag: string, text: string): Uint8Array {
  const writer = new BinaryWriter().tag(1, LengthDelimited).string(`${tag}/text_summary`);
  writer.tag(8, LengthDelimited).fork(); // tensor
  writer.tag(1, Varint).int32(DT_STRING);
  writer.tag(2, LengthDelimited).fork().tag(2, LengthDelimited).fork().tag(1, Varint).int64(1).join().join();
  writer.tag(8, LengthDelimited).string(text).join();
  writer.tag(9, LengthDelimited).fork().tag(1, LengthDelimited).fork(); // metadata, plugin data
  return writer.tag(1, LengthDelimited).string('text').join().join().finish();
}

/** CRCs of data that hold CRCs are weak, so the format rotates them and adds a constant. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function record(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + 16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(out.subarray(0, 8)), true);
  out.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return out;
}

/** Adds events to a file, which is started when it is not there. TensorBoard finds files by `tfevents` in their names. */
export async function appendEvents(
  files: FileStore,
  path: string,
  events: readonly TensorboardEvent[],
): Promise<void> {
  const [first] = events;
  if (!first) return;
  const start = (await files.exists(path)) ? [] : [versionRecord(first.wallTimeSeconds)];
  await files.append(path, concatBytes([...start, ...events.map(eventRecords)]));
}
