/** `gaslaw devices [ID]`: what models can be compressed and checked for, and where each figure was read. */
import { Command } from 'commander';
import { DEVICES, deviceOf } from '../../devices/index.ts';
import { type DeviceProfile, figuresOf } from '../../devices/profile.ts';
import { operatorsOf } from '../../devices/rules/index.ts';
import { SOURCES, type Source } from '../../devices/sources.ts';
import { plain, si } from '../../report/format.ts';
import { JSON_OPTION } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { pairs, table } from '../table.ts';

export const devicesCommand = (): Command =>
  new Command('devices')
    .description('list the devices; with an ID all that is known of one')
    .argument('[id]', 'for example stm32n6')
    .option('--evidence', 'every figure with its source and confidence')
    .option(...JSON_OPTION)
    .action((id: string | undefined, o: { json?: boolean; evidence?: boolean }) => {
      const output = createOutput(o.json ?? false);
      const chosen = id === undefined ? DEVICES : [deviceOf(id)];
      if (o.evidence) output.result(chosen.flatMap(evidence), () => chosen.flatMap(evidenceLines));
      else if (id === undefined) output.result(DEVICES.map(summary), listLines);
      else output.result(chosen[0], () => profileLines(chosen[0]));
    });

const summary = ({ id, family, name, formats, confidence }: DeviceProfile) => ({
  id,
  family,
  name,
  formats: formats.value,
  confidence,
});

function listLines(): string[] {
  const rows = DEVICES.map(d => [d.id, d.name, d.engine, d.formats.value.join(' '), d.confidence]);
  return table([['id', 'name', 'engine', 'formats', 'confidence'], ...rows], Array(5).fill('left'));
}

function profileLines(profile: DeviceProfile): string[] {
  const rows = figuresOf(profile).filter(({ path }) => !path.startsWith('notes'));
  return [
    stdoutColors().bold(`${profile.id}  ${profile.name}`),
    ...pairs([
      ['engine', profile.engine],
      ...rows.map(({ path, figure }) => [labelOf(path), quantityOf(path, figure.value)] as const),
      ['confidence', profile.confidence],
    ]),
    ...profile.notes.map(note => `- ${note.value}`),
  ];
}

const UNITS = { BytesPerSecond: 'B/s', MacsPerSecond: 'MAC/s', Bytes: 'B', Hz: 'Hz' } as const;
const UNIT = new RegExp(Object.keys(UNITS).join('|'));

/** `memory.ramBytes` → `memory ram`: the unit is behind the number. */
const labelOf = (path: string): string =>
  path
    .replace(UNIT, '')
    .replaceAll('.', ' ')
    .replace(/[a-z][A-Z]/g, ([a = '', b = '']) => `${a} ${b.toLowerCase()}`);

function quantityOf(path: string, value: unknown): string {
  const unit = UNIT.exec(path)?.[0] as keyof typeof UNITS | undefined; // a key: the pattern has no others
  if (typeof value === 'number' && unit) return si(value, UNITS[unit]);
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : shown(value);
}

const sourceOf = (key: string): Source => SOURCES[key as keyof typeof SOURCES]; // checked by the schema

/** Figures of the profile, and the list of operators that findings rest on. */
function evidenceOf(profile: DeviceProfile): ReturnType<typeof figuresOf> {
  const operators = operatorsOf(profile);
  return [...figuresOf(profile), ...(operators ? [{ path: 'operators', figure: operators }] : [])];
}

const evidence = (profile: DeviceProfile) =>
  evidenceOf(profile).map(({ path, figure }) => ({
    device: profile.id,
    figure: path,
    value: figure.value,
    confidence: figure.confidence,
    ...sourceOf(figure.source),
  }));

const evidenceLines = (profile: DeviceProfile): string[] => [
  stdoutColors().bold(`${profile.id}  ${profile.name}`),
  ...evidenceOf(profile).flatMap(({ path, figure }) => {
    const { title, url, read } = sourceOf(figure.source);
    return [`  ${path}: ${shown(figure.value)}`, `    ${figure.confidence}; ${title}, read ${read}, ${url}`];
  }),
];

function shown(value: unknown): string {
  if (typeof value === 'number') return plain(value);
  if (Array.isArray(value)) return value.join(', ') || 'none';
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, part]) => `${key} ${shown(part)}`)
    .join('; ');
}
