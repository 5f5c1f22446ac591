/** Native calls off the main thread. */
import type { Address, Argument, StatusFunction } from './library.ts';

/** What native code is looking at right now on other threads. */
const inUse = new Set<object>();

/** Calls `fn` on one of koffi's threads; `kept`, the memory behind the addresses, stays referenced until it returns. */
export function inBackground(
  fn: StatusFunction,
  parameters: readonly Argument[],
  kept: object,
): Promise<Address | null> {
  inUse.add(kept);
  return new Promise<Address | null>((resolve, reject) => {
    fn.async(...parameters, (error, status) => (error ? reject(error) : resolve(status)));
  }).finally(() => inUse.delete(kept));
}
