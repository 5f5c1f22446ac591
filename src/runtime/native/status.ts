/** Turns an `OrtStatus` into an exception. */
import type { Graph } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { explain } from '../explain.ts';
import type { Address, OrtFunctions } from './library.ts';

/** Throws the status as a GaslawError whose message starts with `where`, and releases it; null means success. */
export function check(api: OrtFunctions, status: Address | null, where: string, graph?: Graph): void {
  if (status === null) return;
  const message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  throw new GaslawError(`${where}: ${explain(message, graph)}`);
}
