/** A file as a C array, for firmware that links its model: what TensorFlow Lite Micro and ST Edge AI take. */
import { GaslawError } from '../util/errors.ts';

const A_LINE = 12;

/**
 * The text of a C header that defines `NAME` (aligned to 16 bytes, as interpreters need it) and `NAME_len`, with `notes` as a comment.
 * Throws a GaslawError when `name` is no C identifier.
 */
export function encodeCArray(bytes: Uint8Array, name: string, notes: readonly string[] = []): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new GaslawError(`"${name}" is no C identifier: use letters, digits and _`);
  const guard = `${name.toUpperCase()}_H`;
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += A_LINE)
    lines.push(
      `  ${Array.from(bytes.subarray(i, i + A_LINE), byte => `0x${byte.toString(16).padStart(2, '0')}`).join(', ')},`,
    );
  return [
    ...notes.map(note => `// ${note.replace(/[^ -~]/g, '?').replace(/\\+$/, '')}`),
    `#ifndef ${guard}`,
    `#define ${guard}`,
    '',
    `static const unsigned int ${name}_len = ${bytes.length};`,
    `static const unsigned char ${name}[] __attribute__((aligned(16))) = {`,
    ...lines,
    '};',
    '',
    `#endif /* ${guard} */`,
    '',
  ].join('\n');
}

/** The bytes of such a header. Throws a GaslawError where there is no array, or its length is not what it says. */
export function decodeCArray(text: string): Uint8Array {
  const body = /\[\][^=]*=\s*\{([^}]*)\}/.exec(text)?.[1];
  if (body === undefined) throw new GaslawError('no C array: expected `name[] = { … }`');
  const bytes = Uint8Array.from(
    body
      .split(',')
      .map(word => word.trim())
      .filter(word => word !== ''),
    Number,
  );
  const stated = /_len = (\d+)/.exec(text)?.[1];
  if (stated !== undefined && Number(stated) !== bytes.length)
    throw new GaslawError(`the array has ${bytes.length} bytes, its length says ${stated}`);
  return bytes;
}
