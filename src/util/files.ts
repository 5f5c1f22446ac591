/**
 * Files as both platforms have them: Node's disk (`cli/node-files.ts`), or memory in browsers and tests.
 *
 * 1. `write` is all or nothing: whatever happens, a reader sees the old content or the new one.
 * 2. Paths use `/`; `write`, `append` and `makeDir` make the folders above.
 * 3. Failures are GaslawErrors that name the path and the reason.
 */
import { GaslawError } from './errors.ts';

/** What can be written: text (as UTF-8), bytes, or bytes in pieces. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface FileStore {
  /** The whole content. Throws when there is no such file. */
  read(path: string): Promise<Uint8Array>;
  /**
   * `length` bytes from `offset`, fewer at the end of the file, in the beginning of `into` where that is given and large
   * enough. Absent where only whole files can be read.
   */
  readRange?(path: string, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Replaces the file atomically and durably. */
  write(path: string, content: FileContent): Promise<void>;
  /** Adds to the end; a process killed meanwhile may leave a part of it there. */
  append(path: string, content: string | Uint8Array): Promise<void>;
  /** Sorted names in a folder; empty when there is no such folder. What unfinished writes left is not listed. */
  list(path: string): Promise<string[]>;
  /** Whether there is a file or folder. */
  exists(path: string): Promise<boolean>;
  /** Bytes of a file. Throws when there is no such file. */
  size(path: string): Promise<number>;
  /** Removes a file, or a folder and all in it; fine when it is not there. */
  remove(path: string): Promise<void>;
  /** Moves a file or folder; a file that is in the way is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** Makes a folder and those above; fine when it is there. */
  makeDir(path: string): Promise<void>;
  /** Cuts a file to its first `length` bytes. Throws when it is shorter. */
  truncate(path: string, length: number): Promise<void>;
  /** Removes what killed processes left behind in a folder. */
  tidy(path: string): Promise<void>;
}

export async function readText(files: FileStore, path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await files.read(path));
  } catch (error) {
    if (error instanceof GaslawError) throw error;
    throw new GaslawError(`${path}: not UTF-8 text`);
  }
}

/** Parsed JSON; the caller checks its shape. Throws one sentence when it is not JSON. */
export async function readJson(files: FileStore, path: string): Promise<unknown> {
  const text = await readText(files, path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GaslawError(`${path}: not JSON (${(error as Error).message})`);
  }
}

/** Joins parts with `/`; empty parts are skipped and an absolute part starts over. */
export function joinPath(...parts: string[]): string {
  const start = parts.findLastIndex(part => part.startsWith('/'));
  return parts
    .slice(Math.max(0, start))
    .filter(part => part !== '')
    .join('/')
    .replace(/\/{2,}/g, '/');
}

/** The folder of a path: `a/b.txt` gives `a`, `b.txt` gives `.`. */
export function folderOf(path: string): string {
  const at = path.lastIndexOf('/');
  if (at < 0) return '.';
  return at === 0 ? '/' : path.slice(0, at);
}

/** The last part of a path: `a/b.txt` gives `b.txt`. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Any content as pieces of bytes. */
export async function* piecesOf(content: FileContent): AsyncGenerator<Uint8Array> {
  if (typeof content === 'string') yield new TextEncoder().encode(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}

/** All pieces as one array. */
export function concatBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.byteLength;
  }
  return out;
}

/** Files in memory, for browsers and tests. */
export function memoryFiles(initial: Readonly<Record<string, FileContent>> = {}): FileStore {
  const files = new MemoryFiles();
  for (const [path, content] of Object.entries(initial)) files.set(path, content);
  return files;
}

class MemoryFiles implements FileStore {
  readonly #files = new Map<string, Uint8Array>();
  readonly #folders = new Set<string>(['']);

  /** Synchronous `write`, for content that is at hand. */
  set(path: string, content: FileContent): void {
    const key = this.#place(path);
    if (typeof content === 'string') this.#files.set(key, new TextEncoder().encode(content));
    else if (content instanceof Uint8Array) this.#files.set(key, content.slice());
    else this.#files.set(key, concatBytes([...(content as Iterable<Uint8Array>)]));
  }

  #place(path: string): string {
    const key = normalize(path);
    if (this.#folders.has(key)) throw new GaslawError(`${path}: is a folder`);
    this.#makeFolders(parentOf(key), path);
    return key;
  }

  #makeFolders(key: string, path: string): void {
    if (this.#files.has(key)) throw new GaslawError(`${path}: "${key}" is a file, not a folder`);
    if (this.#folders.has(key)) return;
    this.#makeFolders(parentOf(key), path);
    this.#folders.add(key);
  }

  #get(path: string): Uint8Array {
    const bytes = this.#files.get(normalize(path));
    if (bytes) return bytes;
    throw new GaslawError(`${path}: ${this.#folders.has(normalize(path)) ? 'is a folder' : 'no such file'}`);
  }

  async read(path: string): Promise<Uint8Array> {
    return this.#get(path).slice();
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#get(path).slice(offset, offset + length);
  }

  async write(path: string, content: FileContent): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of piecesOf(content)) pieces.push(piece);
    this.#files.set(this.#place(path), concatBytes(pieces));
  }

  async append(path: string, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const key = this.#place(path);
    this.#files.set(key, concatBytes([this.#files.get(key) ?? new Uint8Array(), bytes]));
  }

  async list(path: string): Promise<string[]> {
    const key = normalize(path);
    if (this.#files.has(key)) throw new GaslawError(`${path}: is a file, not a folder`);
    const all = [...this.#files.keys(), ...this.#folders].filter(k => k !== '' && parentOf(k) === key);
    return all.map(nameOf).sort();
  }

  async exists(path: string): Promise<boolean> {
    return this.#files.has(normalize(path)) || this.#folders.has(normalize(path));
  }

  async size(path: string): Promise<number> {
    return this.#get(path).byteLength;
  }

  async remove(path: string): Promise<void> {
    const key = normalize(path);
    for (const file of this.#files.keys()) if (isWithin(file, key)) this.#files.delete(file);
    for (const folder of this.#folders)
      if (folder !== '' && isWithin(folder, key)) this.#folders.delete(folder);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = normalize(from);
    const file = this.#files.get(source);
    if (file) {
      if (normalize(to) === source) return;
      this.#files.set(this.#place(to), file);
      this.#files.delete(source);
    } else if (this.#folders.has(source) && source !== '') this.#renameFolder(source, to);
    else throw new GaslawError(`${from}: no such file`);
  }

  #renameFolder(source: string, to: string): void {
    const target = normalize(to);
    if (isWithin(target, source)) throw new GaslawError(`${to}: lies in the folder that is to be renamed`);
    if (this.#files.has(target) || [...this.#files.keys()].some(k => isWithin(k, target))) {
      throw new GaslawError(`${to}: is in the way`);
    }
    const moved = (key: string): string => target + key.slice(source.length);
    this.#makeFolders(target, to);
    for (const key of [...this.#folders].filter(k => isWithin(k, source))) {
      this.#folders.delete(key);
      this.#folders.add(moved(key));
    }
    for (const [key, bytes] of [...this.#files].filter(([k]) => isWithin(k, source))) {
      this.#files.delete(key);
      this.#files.set(moved(key), bytes);
    }
  }

  async makeDir(path: string): Promise<void> {
    this.#makeFolders(normalize(path), path);
  }

  async truncate(path: string, length: number): Promise<void> {
    const bytes = this.#get(path);
    if (bytes.byteLength < length) throw new GaslawError(shorter(path, bytes.byteLength, length));
    this.#files.set(normalize(path), bytes.slice(0, length));
  }

  async tidy(): Promise<void> {}
}

/** The message when a file is shorter than it has to be. */
export const shorter = (path: string, has: number, needs: number): string =>
  `${path}: has ${has} bytes where at least ${needs} are needed; the file was cut or replaced`;

/** A path without `.`, `..`, doubled or outer slashes: the key in memory. The root is `''`. */
function normalize(path: string): string {
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') out.pop();
    else if (part !== '' && part !== '.') out.push(part);
  }
  return out.join('/');
}

const parentOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf('/')));
const isWithin = (key: string, folder: string): boolean =>
  folder === '' || key === folder || key.startsWith(`${folder}/`);

/** `length` bytes from `offset`, fewer at the end; read into `into` where it is given and the store can. */
export type RangeReader = (offset: number, length: number, into?: Uint8Array) => Promise<Uint8Array>;

/** Reads pieces of a file; where a store has only whole files, reads it once. */
export async function rangeReader(files: FileStore, path: string): Promise<RangeReader> {
  if (files.readRange) return (offset, length, into) => files.readRange!(path, offset, length, into);
  const all = await files.read(path);
  return async (offset, length) => all.subarray(offset, offset + length);
}

/** One piece of memory that whoever needs it takes, and gives back: taken twice at a time, it is made anew. */
export class Scratch {
  #free: ArrayBuffer | undefined;

  /** At least `bytes`, for as long as `use` runs. */
  async during<T>(bytes: number, use: (memory: ArrayBuffer) => Promise<T>): Promise<T> {
    const memory = this.#free && this.#free.byteLength >= bytes ? this.#free : new ArrayBuffer(bytes);
    this.#free = undefined;
    try {
      return await use(memory);
    } finally {
      this.#free = memory;
    }
  }
}
