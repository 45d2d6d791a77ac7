/** Arrow files as other tools write them: `tests/golden/arrow.py`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArrow } from '../../../shared/formats/arrow.ts';
import { columnOf, columnTexts } from '../../../shared/formats/table.ts';

const FOLDER = join(import.meta.dirname, '../../golden/arrow');
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(join(FOLDER, `${name}.arrow`)));
const N = 200;
const rows = Array.from({ length: N }, (_, i) => i);

describe.each(['pandas-lz4', 'pandas-zstd', 'pandas-stream', 'polars-zstd', 'polars-views', 'polars-views-lz4'])(
  'the file %s',
  (name) => {
    const bytes = bytesOf(name);

    it('has every cell, compressed and coded as it is', () => {
      const table = readArrow(bytes, {}, { read: ['x', 'count', 'flag', 'level', 'text'] });
      const texts = (column: string) => columnTexts(columnOf(table, column));
      expect(texts('x')).toEqual(rows.map((i) => String(i / 8 - 3)));
      expect(texts('count')).toEqual(rows.map((i) => (i % 50 === 7 ? null : String(i))));
      expect(texts('flag')).toEqual(rows.map((i) => String(i % 3 === 0)));
      expect(texts('level')).toEqual(rows.map((i) => (i % 40 === 9 ? null : ['low', 'mid', 'high'][i % 3]!)));
      expect(texts('text')).toEqual(rows.map((i) => `name ${i % 7}`));
    });

    it('is never taken for another table where it is damaged, and says so without the words of a decoder', () => {
      for (let k = 0; k < 60; k++) {
        const bad = bytes.slice();
        const at = (k * 7919 + 311) % bad.length;
        bad[at] = bad[at]! ^ (1 << (k % 8));
        try {
          expect(readArrow(bad).rows, `byte ${at}`).toBeLessThanOrEqual(5_000_000);
        } catch (error) {
          expect(error, `byte ${at}`).toMatchObject({ code: 'data_invalid' });
        }
      }
      expect(() => readArrow(bytes.slice(0, bytes.length / 2))).toThrow(
        expect.objectContaining({ code: 'data_invalid' }),
      );
    });
  },
);

describe('numbers as categories', () => {
  it('stay numbers, and are texts where they are labels', () => {
    const bytes = bytesOf('pandas-zstd');
    const code = columnOf(readArrow(bytes, {}, { read: ['code'] }), 'code');
    expect(code).toMatchObject({ kind: 'number', missing: 0 });
    expect(columnTexts(code)).toEqual(rows.map((i) => String((i % 4) + 10)));
    const label = columnOf(readArrow(bytes, {}, { read: ['code'], text: ['code'] }), 'code');
    expect(label).toMatchObject({ kind: 'category', levels: ['10', '11', '12', '13'] });
  });
});
