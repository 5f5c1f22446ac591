/**
 * What a training loop asks of an optimizer: one in-place step from accumulated gradients.
 * Moments are named flat arrays laid out as the ParameterStore, so checkpoints need no special case.
 */
export interface Optimizer extends Disposable {
  /** Arrays that a checkpoint must keep, by name. */
  readonly state: Readonly<Record<string, Float32Array>>;
  /** Steps taken; part of the checkpoint. */
  steps: number;
  /**
   * Updates the parameters in place.
   * @param rate learning rate
   * @param gradientScale factor on every gradient (clipping, 1 / number of tokens)
   */
  step(rate: number, gradientScale: number): Promise<void>;
}
