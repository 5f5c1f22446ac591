/**
 * The disk as a FileStore.
 *
 * 1. `write` fills a temporary file beside the target, flushes it to the disk, renames it over the target and flushes
 *    the folder: a process killed at any moment, or a full disk, leaves the old file as it was.
 * 2. A link is followed; a device or pipe is written straight, since it must not be replaced by a file.
 * 3. Ranges are read at once, not by way of the thread pool: models are opened in thousands of pieces, each of them read
 *    in less time than a hand-over takes.
 * 4. Temporary files bear the writer's process number, so `tidy` removes those of processes that are gone.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  truncate,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GaslawError } from '../util/errors.ts';
import { type FileContent, type FileStore, piecesOf, shorter } from '../util/files.ts';

export interface NodeFilesOptions {
  /** Writes a piece; replaced by tests that fill the disk. */
  readonly writePiece?: (handle: FileHandle, piece: Uint8Array) => Promise<void>;
}

/** Files on disk; relative paths are relative to the working directory. */
export function nodeFiles(options: NodeFilesOptions = {}): FileStore {
  return new NodeFiles(options.writePiece ?? ((handle, piece) => handle.writeFile(piece)));
}

const TEMPORARY = /^\..+\.(\d+)-\d+\.gaslaw-tmp$/;
let temporaries = 0;
const temporaryName = (name: string): string => `.${name}.${process.pid}-${temporaries++}.gaslaw-tmp`;

class NodeFiles implements FileStore {
  readonly #writePiece: (handle: FileHandle, piece: Uint8Array) => Promise<void>;

  constructor(writePiece: (handle: FileHandle, piece: Uint8Array) => Promise<void>) {
    this.#writePiece = writePiece;
  }

  read(path: string): Promise<Uint8Array> {
    return explain(path, 'read', () => readFile(path));
  }

  readRange(path: string, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return explain(path, 'read', async () => {
      const file = openSync(path, 'r');
      try {
        return readFully(file, offset, length, into);
      } finally {
        closeSync(file);
      }
    });
  }

  async write(path: string, content: FileContent): Promise<void> {
    const progress = { bytes: sizeOfContent(content) };
    await explain(path, 'write', () => this.#replace(path, content, progress), progress);
  }

  async #replace(path: string, content: FileContent, progress: Progress): Promise<void> {
    const existing = await statOf(path);
    if (existing?.isDirectory()) throw new GaslawError(`cannot write ${path}: it is a folder`);
    if (existing && !existing.isFile()) return this.#fill(path, 'r+', content, progress);
    const target = existing ? await realpath(path) : path;
    const folder = dirname(target);
    await mkdir(folder, { recursive: true });
    const temporary = join(folder, temporaryName(basename(target)));
    try {
      await this.#fill(temporary, 'wx', content, progress, existing?.mode);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(folder);
  }

  async #fill(
    path: string,
    flags: string,
    content: FileContent,
    progress: Progress,
    mode?: number,
  ): Promise<void> {
    const handle = await open(path, flags, mode && mode & 0o777);
    let written = 0;
    try {
      for await (const piece of piecesOf(content)) {
        progress.bytes = Math.max(progress.bytes, (written += piece.byteLength));
        await this.#writePiece(handle, piece);
      }
      if (flags === 'wx') await handle.sync(); // devices and pipes cannot
    } finally {
      await handle.close();
    }
  }

  append(path: string, content: string | Uint8Array): Promise<void> {
    const progress = { bytes: sizeOfContent(content) };
    return explain(
      path,
      'append to',
      async () => {
        await mkdir(dirname(path), { recursive: true });
        await this.#addTo(path, content);
      },
      progress,
    );
  }

  /** On failure the file gets its old length back: a full disk leaves no half line. */
  async #addTo(path: string, content: string | Uint8Array): Promise<void> {
    const handle = await open(path, 'a');
    try {
      const before = await handle.stat();
      try {
        for await (const piece of piecesOf(content)) await this.#writePiece(handle, piece);
      } catch (error) {
        if (before.isFile()) await handle.truncate(before.size);
        throw error;
      }
    } finally {
      await handle.close();
    }
  }

  list(path: string): Promise<string[]> {
    return explain(path, 'list', async () => {
      if (!(await statOf(path))) return [];
      return (await readdir(path)).filter(name => !TEMPORARY.test(name)).sort();
    });
  }

  exists(path: string): Promise<boolean> {
    return explain(path, 'look at', async () => (await statOf(path)) !== undefined);
  }

  size(path: string): Promise<number> {
    return explain(path, 'look at', async () => (await stat(path)).size);
  }

  remove(path: string): Promise<void> {
    return explain(path, 'remove', () => rm(path, { recursive: true, force: true }));
  }

  rename(from: string, to: string): Promise<void> {
    return explain(from, `rename to ${to}`, async () => {
      await mkdir(dirname(to), { recursive: true });
      await rename(from, to);
      await syncFolder(dirname(to));
    });
  }

  makeDir(path: string): Promise<void> {
    return explain(path, 'make folder', async () => void (await mkdir(path, { recursive: true })));
  }

  truncate(path: string, length: number): Promise<void> {
    return explain(path, 'cut', async () => {
      const { size } = await stat(path);
      if (size < length) throw new GaslawError(shorter(path, size, length));
      await truncate(path, length);
    });
  }

  tidy(path: string): Promise<void> {
    return explain(path, 'tidy', async () => {
      if (!(await statOf(path))) return;
      const left = (await readdir(path)).filter(name => isLeft(name));
      await Promise.all(left.map(name => rm(join(path, name), { force: true })));
    });
  }
}

/** Whether `name` is the temporary file of a process that is gone. */
function isLeft(name: string): boolean {
  const owner = Number(TEMPORARY.exec(name)?.[1] ?? process.pid);
  if (owner === process.pid) return false;
  try {
    process.kill(owner, 0); // signal 0 only asks
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads until `length` bytes are there or the file ends: one call may give fewer. */
function readFully(file: number, offset: number, length: number, into?: Uint8Array): Uint8Array {
  const count = Math.max(0, Math.min(length, fstatSync(file).size - offset));
  const out = into && into.length >= count ? into.subarray(0, count) : new Uint8Array(count);
  for (let done = 0; done < out.length; ) {
    const bytesRead = readSync(file, out, done, out.length - done, offset + done);
    if (bytesRead === 0) return out.subarray(0, done);
    done += bytesRead;
  }
  return out;
}

/** Makes a rename durable. Not every system can flush a folder; then the rename is as durable as it gets. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP'].includes(codeOf(error))) throw error;
  }
}

// ---- errors ----

/** Bytes that a write needs, as far as known; for the message when the disk is full. */
interface Progress {
  bytes: number;
}

function sizeOfContent(content: FileContent): number {
  if (typeof content === 'string') return new TextEncoder().encode(content).byteLength;
  if (content instanceof Uint8Array) return content.byteLength;
  return Array.isArray(content)
    ? content.reduce((sum: number, piece: Uint8Array) => sum + piece.byteLength, 0)
    : 0;
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

const REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EEXIST: 'a file of that name is in the way',
  ENOTEMPTY: 'the folder there is not empty',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
  EBUSY: 'it is in use',
  EIO: 'the disk reports an error',
  EXDEV: 'it lies on another disk',
  ELOOP: 'links lead in a circle',
};

/** Runs `action`; failures of the system become one sentence, all else passes. */
async function explain<T>(
  path: string,
  verb: string,
  action: () => Promise<T>,
  progress?: Progress,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const code = codeOf(error);
    if (error instanceof GaslawError || code === '') throw error;
    if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code))
      throw new GaslawError(await fullDisk(path, verb, progress));
    throw new GaslawError(`cannot ${verb} ${path}: ${REASONS[code] ?? code}`);
  }
}

async function fullDisk(path: string, verb: string, progress: Progress | undefined): Promise<string> {
  const free = await statfs(dirname(path)).then(
    ({ bavail, bsize }) => `, ${bavail * bsize} are free`,
    () => '',
  );
  const untouched = verb === 'write' ? '; what was there before is untouched' : '';
  return `cannot ${verb} ${path}: the disk is full (${progress?.bytes ?? 0} bytes needed${free})${untouched}`;
}
