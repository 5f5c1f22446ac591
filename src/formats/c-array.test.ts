/** C headers are what a compiler would read, and come back as the bytes that went in. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeCArray, encodeCArray } from './c-array.ts';

it('is a header with a guard, an aligned array and its length', () => {
  expect(encodeCArray(Uint8Array.of(0, 255, 16), 'model')).toBe(
    [
      '#ifndef MODEL_H',
      '#define MODEL_H',
      '',
      'static const unsigned int model_len = 3;',
      'static const unsigned char model[] __attribute__((aligned(16))) = {',
      '  0x00, 0xff, 0x10,',
      '};',
      '',
      '#endif /* MODEL_H */',
      '',
    ].join('\n'),
  );
});

it('any bytes come back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      expect([...decodeCArray(encodeCArray(bytes, 'm'))]).toEqual([...bytes]);
    }),
  );
});

it('a name that C would not take is refused, as is text without an array or with a wrong length', () => {
  expect(() => encodeCArray(new Uint8Array(1), 'my-model')).toThrow(/no C identifier/);
  expect(() => decodeCArray('int x;')).toThrow(/no C array/);
  const text = encodeCArray(Uint8Array.of(1, 2), 'm').replace('_len = 2', '_len = 3');
  expect(() => decodeCArray(text)).toThrow(/2 bytes, its length says 3/);
});
