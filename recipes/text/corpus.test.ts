import { describe, expect, it } from 'vitest';
import { memoryFiles } from '../../src/util/files.ts';
import { readCorpus } from './corpus.ts';

const words = (word: string, count = 60) => Array.from({ length: count }, (_, i) => `${word}${i}`).join(' ');
const [one, two, ten] = ['whale', 'sea', 'ship'].map(word => words(word)) as [string, string, string];
const packaged = (content: Record<string, string>) =>
  readCorpus(
    memoryFiles(Object.fromEntries(Object.entries(content).map(([k, v]) => [`node_modules/book/${k}`, v]))),
    { package: 'book' },
  );

describe('the text of recipe text', () => {
  it('is the named file as it is', async () => {
    expect(await readCorpus(memoryFiles({ 'a.txt': 'Ω\n' }), { text: 'a.txt' })).toBe('Ω\n');
  });

  it('of a package is its texts in the order of chapters', async () => {
    const text = await packaged({ 'data/c10.txt': ten, 'data/c2.txt': two, 'data/c1.txt': one });
    expect(text).toBe([one, two, ten].join('\n\n'));
  });

  it('of JSON files is their prose, without names and codes', async () => {
    const text = await packaged({ 'en/a.json': JSON.stringify({ id: 'a-1', parts: [{ text: one }, two] }) });
    expect(text).toBe(`${one}\n\n${two}`);
  });

  it('leaves out what a package says about itself', async () => {
    const papers = {
      'package.json': JSON.stringify({ description: words('about') }),
      LICENSE: words('terms'),
    };
    const others = {
      'LICENSE.txt': words('law'),
      'node_modules/x/a.txt': words('other'),
      'index.js': words('code'),
    };
    expect(await packaged({ ...papers, ...others, 'book.txt': one })).toBe(one);
  });

  it('holds nothing twice, so that held-out text is not trained on', async () => {
    const chapters = {
      'data/c1.txt': one,
      'data/c2.txt': two,
      'data/c2.json': JSON.stringify({ text: two }),
    };
    const wrapped = `${one}\n\n${two}`.replaceAll(' ', '\n');
    expect(await packaged({ ...chapters, 'data/all.txt': wrapped })).toBe(wrapped);
  });

  it('is asked for where there is none', async () => {
    await expect(packaged({ 'index.js': words('code') })).rejects.toThrow('package book has no text');
    await expect(readCorpus(memoryFiles(), { package: 'book' })).rejects.toThrow('npm install book');
    await expect(readCorpus(memoryFiles(), { text: 'lost.txt' })).rejects.toThrow('no file lost.txt');
  });
});
