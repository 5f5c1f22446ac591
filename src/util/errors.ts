/**
 * The kinds of failure that a person sees as one sentence.
 * Anything else that escapes is a defect and keeps its stack.
 */

/** What was asked cannot be done: bad file, impossible shape, full disk. Exit code 1. */
export class GaslawError extends Error {
  override name = 'GaslawError';
  /** The argument that is at fault, by its name in the call: a command line tells its option. */
  readonly argument?: string;

  constructor(message: string, argument?: string) {
    super(message);
    if (argument !== undefined) this.argument = argument;
  }
}

/** The command or configuration is wrong: unknown option, task or recipe. Exit code 2. */
export class UsageError extends GaslawError {
  override name = 'UsageError';
}

/** The user asked to stop; what was done is saved. Exit code 130, as shells have it after Ctrl-C. */
export class Interrupted extends GaslawError {
  override name = 'Interrupted';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new GaslawError(message);
}
