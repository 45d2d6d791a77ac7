import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { statedParams } from '../../../gpu-worker/study/stated-params.ts';

const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');

it('leaves what is small as it is', () => {
  const params = { steps: 3, corpus: { planted: { seed: 0 } }, hooks: ['resid_post.1'], none: null };
  expect(statedParams(params)).toEqual(params);
});

it('tells 900 KB of texts by digest and number, in the place where they stood', () => {
  const texts = Array.from({ length: 90 }, (_, i) => String(i % 10).repeat(10_000));
  const stated = statedParams({ corpus: { texts }, steps: 3 });
  expect(stated).toEqual({ corpus: { texts: { sha256: digestOf(texts), elements: 90 } }, steps: 3 });
});

it('tells an object of many small members as a whole', () => {
  const columns = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`column ${i}`, [i, i + 1, i + 2]]));
  expect(statedParams({ table: { columns } })).toEqual({
    table: { columns: { sha256: digestOf(columns), members: 1000 } },
  });
});
