/**
 * A folder of pictures: class folders, a `labels.csv`, or pictures alone.
 *
 * 1. Class folders in the order of their names are classes 0, 1, …; `classes.txt` (one name a line) gives another order,
 *    which has to be the model's own.
 * 2. `labels.csv` has a line `file,label` for each picture; a label is a class index or a name. A first line that names no
 *    picture is a heading.
 * 3. Pictures take the size and channels of the model's image input when they are read.
 */
import { staticDims, type ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { type FileStore, joinPath, nameOf, readText } from '../../util/files.ts';
import { decodePicture, isPicture, type Picture, withChannels } from './image.ts';
import { type ResizeMode, resized } from './resize.ts';
import type { Samples } from './samples.ts';

export interface ImageFolderOptions {
  readonly classes?: readonly string[];
  /** Height and width, for models that take any. */
  readonly size?: readonly [height: number, width: number];
  readonly resize?: ResizeMode;
  readonly layout?: 'NCHW' | 'NHWC';
}

interface Listed {
  readonly file: string;
  readonly label?: string;
}

/** Whether `path` is a folder that holds anything. */
export async function isFolder(files: FileStore, path: string): Promise<boolean> {
  return (await files.list(path).catch((): string[] => [])).length > 0;
}

export async function readImageFolder(
  files: FileStore,
  folder: string,
  inputs: readonly ValueInfo[],
  options: ImageFolderOptions = {},
): Promise<Samples> {
  const listed = await listPictures(files, folder);
  if (listed.length === 0)
    throw new GaslawError(`${folder}: holds no .png or .jpg pictures, class folders of them or labels.csv`);
  const form = formOf(folder, inputs, options);
  const pictures = await readAll(files, folder, listed, form, options.resize ?? 'crop');
  const { height, width, channels } = pictures[0];
  const data = new Uint8Array(pictures.length * height * width * channels);
  pictures.forEach((picture, i) => void data.set(picture.data, i * height * width * channels));
  return {
    name: nameOf(folder.replace(/\/+$/, '')),
    count: pictures.length,
    fields: { [form.input]: { dims: [height, width, channels], layout: 'HWC', data } },
    ...(await labelsOfListed(files, folder, listed, options.classes)),
  };
}

async function listPictures(files: FileStore, folder: string): Promise<Listed[]> {
  const names = await files.list(folder);
  if (names.includes('labels.csv'))
    return listedIn(await readText(files, joinPath(folder, 'labels.csv')), folder);
  const own = names.filter(isPicture).map(file => ({ file }));
  if (own.length > 0) return own;
  const inside = await Promise.all(
    names.map(async label => {
      const all = await files.list(joinPath(folder, label)).catch((): string[] => []);
      return all.filter(isPicture).map(file => ({ file: `${label}/${file}`, label }));
    }),
  );
  return inside.flat();
}

function listedIn(text: string, folder: string): Listed[] {
  const lines = text.split(/\r?\n/).filter(line => line.trim() !== '');
  const rows = lines.map(line => line.split(',').map(cell => cell.trim().replace(/^"(.*)"$/, '$1')));
  const data = rows[0] && !isPicture(rows[0][0]) ? rows.slice(1) : rows;
  const wrong = data.find(row => row.length < 2 || row[1] === '' || !isPicture(row[0]));
  if (wrong) throw new GaslawError(`${folder}/labels.csv: "${wrong.join(',')}" is not a line file,label`);
  return data.map(([file, label]) => ({ file, label }));
}

// ---- the input's form ----

interface Form {
  readonly input: string;
  readonly channels?: number;
  readonly size?: readonly [height: number, width: number];
}

/** Of the only input of four dims. */
function formOf(folder: string, inputs: readonly ValueInfo[], { size, layout }: ImageFolderOptions): Form {
  const images = inputs.filter(({ shape }) => shape === undefined || shape.length === 4);
  if (images.length !== 1)
    throw new GaslawError(
      `${folder}: the model has ${images.length} inputs of four dims, so pictures do not fit it; give .npz data`,
    );
  const [{ name, shape }] = images;
  const dims = shape?.slice(1) ?? [];
  const isChannels = (d: unknown): boolean => d === 1 || d === 3;
  const pixels = layout ? layout === 'NHWC' : !isChannels(dims[0]) && isChannels(dims[2]);
  const [channels, ...space] = pixels ? [dims[2], dims[0], dims[1]] : dims;
  const own = staticDims(space);
  return {
    input: name,
    ...(typeof channels === 'number' && { channels }),
    ...(size ? { size } : own?.length === 2 && { size: [own[0], own[1]] as const }),
  };
}

/** All pictures in one size: the model's, or that of the first. */
async function readAll(
  files: FileStore,
  folder: string,
  listed: readonly Listed[],
  { channels, size }: Form,
  mode: ResizeMode,
): Promise<Picture[]> {
  const out: Picture[] = [];
  for (const { file } of listed) {
    const path = joinPath(folder, file);
    const picture = withChannels(
      decodePicture(await files.read(path), path),
      channels ?? out[0]?.channels ?? 3,
    );
    const [height, width] = size ?? [out[0]?.height ?? picture.height, out[0]?.width ?? picture.width];
    out.push(resized(picture, height, width, mode));
  }
  return out;
}

// ---- labels ----

async function labelsOfListed(
  files: FileStore,
  folder: string,
  listed: readonly Listed[],
  given?: readonly string[],
): Promise<Pick<Samples, 'labels' | 'classes'>> {
  if (listed.some(({ label }) => label === undefined)) return {};
  const named = given ?? (await classesFile(files, folder));
  return indexLabels(
    listed.map(({ label }) => label as string),
    named,
    folder,
  );
}

async function classesFile(files: FileStore, folder: string): Promise<string[] | undefined> {
  const path = joinPath(folder, 'classes.txt');
  if (!(await files.exists(path))) return undefined;
  return (await readText(files, path))
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '');
}

/** Labels as indices: whole numbers are ones already, names are found among `classes` or ordered. */
export function indexLabels(
  labels: readonly string[],
  classes: readonly string[] | undefined,
  name: string,
): Pick<Samples, 'labels' | 'classes'> {
  if (labels.every(label => /^\d+$/.test(label)) && !classes?.includes(labels[0]))
    return { labels: Int32Array.from(labels, Number), ...(classes && { classes }) };
  const order = classes ?? [...new Set(labels)].sort();
  const index = new Map(order.map((label, i) => [label, i]));
  const unknown = labels.find(label => !index.has(label));
  if (unknown !== undefined)
    throw new GaslawError(
      `${name}: the label "${unknown}" is none of the classes ${order.slice(0, 12).join(', ')}`,
    );
  return { labels: Int32Array.from(labels, label => index.get(label) as number), classes: order };
}
