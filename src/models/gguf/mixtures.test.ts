/** Mixtures by the tables that llama.cpp prints while it quantizes a model of 32 layers. */
import { describe, expect, it } from 'vitest';
import { MIXTURES, type Mixture, mixedType } from './mixtures.ts';

const at = (mixture: Mixture, name: string, layer: number, layers = 32) =>
  mixedType(mixture, `model.layers.${layer}.${name}.weight`, layers);

describe('a mixture', () => {
  // Llama 2 7B, Q4_K_M: these layers have attn_v and ffn_down in Q6_K
  const RAISED = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31];

  it.each([
    ['Q4_K_M', 'Q4_K'],
    ['Q5_K_M', 'Q5_K'],
  ] as const)('%s raises the layers that are sensitive', (mixture, base) => {
    for (const name of ['self_attn.v_proj', 'mlp.down_proj', 'mlp.experts.0.down_proj']) {
      const raised = Array.from({ length: 32 }, (_, i) => i).filter(i => at(mixture, name, i) === 'Q6_K');
      expect(raised).toEqual(RAISED);
      expect(at(mixture, name, 4)).toBe(base);
    }
    expect(at(mixture, 'self_attn.o_proj', 0)).toBe(base);
  });

  it('Q4_K_S raises the first ones a little', () => {
    expect([3, 4].map(i => at('Q4_K_S', 'self_attn.v_proj', i))).toEqual(['Q5_K', 'Q4_K']);
    expect([3, 4].map(i => at('Q4_K_S', 'mlp.down_proj', i))).toEqual(['Q5_K', 'Q4_K']);
    expect(at('Q4_K_S', 'mlp.down_proj', 0, 4)).toBe('Q4_K');
  });

  it('Q3_K_M and Q3_K_L raise what attention writes', () => {
    expect([1, 2].map(i => at('Q3_K_M', 'mlp.down_proj', i))).toEqual(['Q5_K', 'Q4_K']);
    expect([1, 2].map(i => at('Q3_K_M', 'self_attn.v_proj', i))).toEqual(['Q5_K', 'Q4_K']);
    expect(at('Q3_K_M', 'self_attn.o_proj', 20)).toBe('Q4_K');
    expect(at('Q3_K_L', 'self_attn.o_proj', 20)).toBe('Q5_K');
  });

  it.each(MIXTURES)('%s leaves the rest at its base', mixture => {
    for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.gate_proj', 'mlp.up_proj'])
      expect(at(mixture, name, 0)).toBe(mixture.slice(0, 4));
    expect(mixedType(mixture, 'model.embed_tokens.weight', 32)).toBe(mixture.slice(0, 4));
  });
});
