import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memoryFiles } from '../util/files.ts';
import { byteTokenizer } from './byte.ts';
import { readTokenizer } from './directory.ts';

const { models } = JSON.parse(
  readFileSync(new URL('./fixtures/sentencepiece.json', import.meta.url), 'utf8'),
) as { models: { name: string; model: string }[] };
const sentencePiece = Uint8Array.from(Buffer.from(models[0]!.model, 'base64'));
const saved = byteTokenizer().save();
const json = JSON.stringify(saved['tokenizer.json']);

describe('readTokenizer', () => {
  it('prefers tokenizer.json and takes the chat template from its file', async () => {
    const files = memoryFiles({
      'm/tokenizer.json': json,
      'm/tokenizer.model': sentencePiece,
      'm/tokenizer_config.json': JSON.stringify({ eos_token: '<eos>', chat_template: 'old' }),
      'm/chat_template.jinja': '{{ eos_token }}',
    });
    const tokenizer = await readTokenizer(files, 'm');
    expect([tokenizer.kind, tokenizer.vocabSize]).toEqual(['bpe', 258]);
    expect(tokenizer.chat!.render([])).toBe('<eos>');
  });

  it('reads tokenizer.model where there is nothing else, with or without a config', async () => {
    const alone = await readTokenizer(memoryFiles({ 'm/tokenizer.model': sentencePiece }), 'm');
    expect([alone.bos, alone.eos, alone.encode('', { addSpecial: true })]).toEqual([1, 2, [1]]);
    const config = JSON.stringify({ eos_token: '<s>', add_bos_token: false });
    const files = memoryFiles({ 'm/tokenizer.model': sentencePiece, 'm/tokenizer_config.json': config });
    const told = await readTokenizer(files, 'm');
    expect([told.eos, told.encode('', { addSpecial: true })]).toEqual([1, []]);
  });

  it('says when there is neither', async () => {
    await expect(readTokenizer(memoryFiles({ 'm/config.json': '{}' }), 'm')).rejects.toThrow(
      'm: neither tokenizer.json nor tokenizer.model; the model has no tokenizer',
    );
  });
});
