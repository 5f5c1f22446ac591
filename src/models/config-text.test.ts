import { expect, it } from 'vitest';
import { configText } from './config-text.ts';

it('writes whole numbers with a point where transformers declares floats, at any depth', () => {
  const config = {
    rope_theta: 10000,
    hidden_size: 64,
    rms_norm_eps: 1e-6,
    final_logit_softcapping: 30,
    rope_scaling: { rope_type: 'linear', factor: 8 },
    eos_token_id: [1, 106],
  };
  const text = configText(config);
  expect(text).toContain('"rope_theta": 10000.0,');
  expect(text).toContain('"factor": 8.0\n');
  expect(text).toContain('"final_logit_softcapping": 30.0,');
  expect(text).toContain('"hidden_size": 64,');
  expect(JSON.parse(text)).toEqual(config);
  expect(text.endsWith('}\n')).toBe(true);
});
