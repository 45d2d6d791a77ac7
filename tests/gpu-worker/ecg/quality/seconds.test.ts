import { expect, it } from 'vitest';
import { FLAGS } from '../../../../gpu-worker/ecg/quality/flags.ts';
import { SecondColumns, type SecondQuality } from '../../../../gpu-worker/ecg/quality/seconds.ts';

it('gives back what every second of ten hours was, in order and by its number', () => {
  const truth = Array.from({ length: 36_000 }, (_, second): SecondQuality => {
    const known = second % 7 !== 0;
    return {
      before: known ? second / 4 : null,
      after: known ? -second / 8 : null,
      flags: FLAGS.filter((_, i) => ((second % 64) >> i) % 2 === 1),
    };
  });
  const columns = new SecondColumns();
  for (const second of truth) {
    columns.push(second);
  }
  expect([...columns]).toEqual(truth);
  expect(columns.slice(3595, 3605)).toEqual(truth.slice(3595, 3605));
  expect(columns.slice(35_999, 36_060)).toEqual(truth.slice(35_999));
  expect([columns.length, columns.at(36_000), columns.at(-1)]).toEqual([36_000, undefined, undefined]);
});
