import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { longArray } from '../../../shared/contracts/long-array.ts';

describe('a long array', () => {
  const schema = z.strictObject({ cells: longArray(z.number()).min(2).max(500_000).describe('cells') });

  it('stops at its hundredth fault, however many there are, and names each by its place', () => {
    const cells = [1, ...new Array(300_000).fill(null)];
    const { issues } = schema.safeParse({ cells }).error!;
    expect(issues).toHaveLength(100);
    expect(issues[99]!.path).toEqual(['cells', 100]);
    expect(issues[0]).toMatchObject({ code: 'invalid_type', path: ['cells', 1] });
  });

  it('finds few faults among many elements, and keeps what passes', () => {
    const cells = Float64Array.from({ length: 5000 }, (_, i) => i / 7);
    expect(schema.parse({ cells: [...cells] }).cells).toEqual([...cells]);
    const { issues } = schema.safeParse({ cells: [...cells.slice(0, 4000), 'x', ...cells] }).error!;
    expect(issues.map(({ path }) => path)).toEqual([['cells', 4000]]);
  });

  it('has the checks, the document and the small faults of an ordinary array', () => {
    const ordinary = z.strictObject({ cells: z.array(z.number()).min(2).max(500_000).describe('cells') });
    expect(z.toJSONSchema(schema)).toEqual(z.toJSONSchema(ordinary));
    for (const given of [
      { cells: [1] },
      { cells: [1, 'a'] },
      { cells: 'x' },
      {},
      { cells: new Array(500_001).fill(0) },
    ]) {
      expect(schema.safeParse(given).error?.issues).toEqual(ordinary.safeParse(given).error?.issues);
    }
  });

  it('transforms its elements as its schema says', () => {
    expect(longArray(z.string().transform(Number)).parse(new Array(200).fill('5'))).toEqual(new Array(200).fill(5));
  });
});
