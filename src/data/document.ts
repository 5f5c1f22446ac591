/**
 * A document: token ids with the weight that each token has in the loss.
 *
 * 1. `weights[i]` is the weight of predicting token i, so it is 0 on a prompt and 1 on a response; the first
 *    token is never predicted.
 * 2. Further columns (advantages, old log-probabilities) travel with the tokens they belong to.
 */
import { GaslawError } from '../util/errors.ts';

export interface TokenDocument {
  readonly ids: ArrayLike<number>;
  /** One weight for each token; all 1 when absent. */
  readonly weights?: ArrayLike<number>;
  /** Further numbers for each token, by name. */
  readonly columns?: Readonly<Record<string, ArrayLike<number>>>;
}

/** A prompt, which is only read, followed by a response, which is learned with `weight`. */
export function promptDocument(
  prompt: readonly number[],
  response: readonly number[],
  weight = 1,
): TokenDocument {
  const weights = new Float32Array(prompt.length + response.length).fill(weight, prompt.length);
  return { ids: [...prompt, ...response], weights };
}

/** Throws when a weight or column is not as long as the ids. */
export function checkDocument(document: TokenDocument): void {
  const length = document.ids.length;
  const all = { ...document.columns, ...(document.weights && { weights: document.weights }) };
  for (const [name, values] of Object.entries(all))
    if (values.length !== length)
      throw new GaslawError(`document: ${name} has ${values.length} values for ${length} tokens`);
}
