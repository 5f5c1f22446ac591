/**
 * The text of a config.json. transformers 5 takes the difference between 3 and 3.0 seriously: a whole number in a field
 * that it declares a float is refused, so such fields are written with a point.
 */

/** Fields of all families that transformers declares floats. */
const FLOATS = new Set([
  'rope_theta',
  'rope_local_base_freq',
  'factor',
  'low_freq_factor',
  'high_freq_factor',
  'attention_factor',
  'beta_fast',
  'beta_slow',
  'mscale',
  'mscale_all_dim',
  'rms_norm_eps',
  'initializer_range',
  'final_logit_softcapping',
  'attention_dropout',
  'routed_scaling_factor',
]);

const MARK = 'whole float ';

/** JSON with two spaces and a newline at the end. */
export function configText(config: Readonly<Record<string, unknown>>): string {
  const marked = JSON.stringify(
    config,
    (name, value) => (FLOATS.has(name) && Number.isInteger(value) ? `${MARK}${value}` : value),
    2,
  );
  return `${marked.replace(new RegExp(`"${MARK}(-?\\d+)"`, 'g'), '$1.0')}\n`;
}
