/** What a run keeps in working memory: activations, and on devices without flash the weights too. */
import type { DeviceProfile } from './profile.ts';

/** Bytes of RAM at the peak of a run. */
export function workingMemory(
  { memory }: DeviceProfile,
  activationBytes: number,
  weightBytes: number,
): number {
  const inFlash = memory.flashBytes !== undefined || memory.flashBytesPerSecond !== undefined;
  return activationBytes + (inFlash ? 0 : weightBytes);
}
