/**
 * Turns an `OrtStatus` into one sentence.
 *
 * 1. Node and op names are kept, source file positions of ONNX Runtime's own code are dropped.
 */
import { GaslawError } from '../../util/errors.ts';
import type { Address, OrtFunctions } from './library.ts';

/** Throws the status as a GaslawError whose message starts with `where`, and releases it; null means success. */
export function check(api: OrtFunctions, status: Address | null, where: string): void {
  if (status === null) return;
  const message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  throw new GaslawError(`${where}: ${explain(message)}`);
}

const RUN_FAILED = /Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: /;
/** `/path/matmul_helper.h:142 onnxruntime::common::Status onnxruntime::MatMulComputeHelper::Compute(...) condition was false. ` */
const SOURCE_POSITION = /^\S*\/?\w+\.(?:cc|h|cpp|hpp):\d+ .*?(?:was false\.\s*|was true\.\s*|\[[\w:]+\]\s*)/;
const BARE_POSITION = /^\S*\/?\w+\.(?:cc|h|cpp|hpp):\d+\s+\S*\s*/;

/** ONNX Runtime's message as one sentence with the failing node's op and name first. */
export function explain(message: string): string {
  const failed = RUN_FAILED.exec(message);
  const body = failed ? message.slice(failed.index + failed[0].length) : message;
  const text = withoutPosition(body).replace(/\s+/g, ' ').trim();
  return failed ? `${failed[1]} node "${failed[2]}": ${text}` : text;
}

function withoutPosition(message: string): string {
  const cut = message.replace(SOURCE_POSITION, '');
  const bare = cut === message ? message.replace(BARE_POSITION, '') : cut;
  return bare.trim() === '' ? message : bare;
}
