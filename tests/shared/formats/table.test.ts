import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { readArrow } from '../../../shared/formats/arrow.ts';
import { readCsv, writeCsv } from '../../../shared/formats/csv.ts';
import { tableFromColumns } from '../../../shared/formats/json-table.ts';
import { columnNames, columnOf, columnTexts, requireOneOfEach, tableSchema } from '../../../shared/formats/table.ts';
import { stream } from '../../../shared/math/random.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const csv = (text: string, options = {}) => readCsv(bytes(text), options);
const fault = (code: string) =>
  expect.objectContaining({ code: 'data_invalid', errors: [expect.objectContaining({ code })] });

describe('CSV', () => {
  it('infers numbers and categories, quotes, blank lines, line ends and missing marks', () => {
    const table = csv('a,"b ""x""",c\r\n1,yes,\r\n-2.5,"n,o",3e2\r\n\r\n?,"two\nlines",-.5');
    expect(table.rows).toBe(3);
    expect(tableSchema(table)).toEqual([
      { name: 'a', kind: 'number', missing: 1, minimum: -2.5, maximum: 1 },
      { name: 'b "x"', kind: 'category', missing: 0, levels: 3, examples: ['yes', 'n,o', 'two\nlines'] },
      { name: 'c', kind: 'number', missing: 1, minimum: -0.5, maximum: 300 },
    ]);
    expect(columnTexts(columnOf(table, 'a'))).toEqual(['1', '-2.5', null]);
  });

  it('reads every number exactly as Number does', () => {
    const random = stream(1, 'csv');
    const texts = Array.from(random.normal(3000), (x, i) => {
      const scaled = x * 10 ** ((i % 40) - 20);
      return i % 3 === 0 ? scaled.toFixed(i % 12) : i % 3 === 1 ? String(scaled) : scaled.toPrecision(1 + (i % 17));
    });
    const { columns } = csv(`x\n${texts.join('\n')}\n`);
    const column = columns[0]!;
    expect(column.kind).toBe('number');
    if (column.kind === 'number') {
      expect([...column.values]).toEqual(texts.map(Number));
    }
  });

  it('reads files without a header, with blanks after the delimiter and other delimiters', () => {
    const table = csv('39, State-gov, ?\n50, Private, 7\n', { names: ['age', 'work', 'n'], trim: true });
    expect(table.columns.map((c) => c.missing)).toEqual([0, 0, 1]);
    expect(columnTexts(table.columns[1]!)).toEqual(['State-gov', 'Private']);
    expect(csv('a;b\n1;2', { delimiter: ';' }).columns).toHaveLength(2);
    expect(csv('\ufeffa,b\n1,2').columns[0]!.name).toBe('a');
    expect(csv('a,b\n').rows).toBe(0);
    expect(csv('a\n1\n\n2\n').columns[0]).toMatchObject({ missing: 1 });
  });

  it('takes marks that look like numbers for what is missing', () => {
    const table = csv('a,b\n-99,x\n1,-99\n-9,y\n', { missing: ['-99', ''] });
    expect(table.columns.map(columnTexts)).toEqual([
      [null, '1', '-9'],
      ['x', null, 'y'],
    ]);
  });

  it('takes runs of blanks as one delimiter', () => {
    const table = csv('  a \t b   "c d"\r\n 1  x  2 \r\n\n\t3 "y z"   4', { delimiter: 'blanks' });
    expect(table.columns.map(({ name }) => name)).toEqual(['a', 'b', 'c d']);
    expect(table.columns.map(columnTexts)).toEqual([
      ['1', '3'],
      ['x', 'y z'],
      ['2', '4'],
    ]);
    expect(() => csv('a b\n1 2 3\n', { delimiter: 'blanks' })).toThrow(fault('csv_malformed'));
  });

  it.each([
    ['csv_malformed', 'a;b\n1;2', {}],
    ['csv_malformed', 'a,b\n1,2,3', {}],
    ['csv_malformed', 'a,b\n1', {}],
    ['csv_malformed', 'a,b\n"1,2', {}],
    ['csv_malformed', 'a,b\n"1"x,2', {}],
    ['csv_malformed', '', {}],
    ['csv_malformed', 'a,b', { delimiter: '""' }],
    ['csv_malformed', 'a,b', { delimiter: '\n' }],
    ['csv_malformed', 'a,b', { delimiter: 'ü' }],
    ['table_too_large', `${Array.from({ length: 10_000 }, (_, i) => `c${i}`).join(',')}\n`, {}],
    ['table_too_large', 'a,b\n1,2\n3,4', { limits: { rows: 1 } }],
    ['table_too_large', 'a\nx\ny\nz', { limits: { levels: 2 } }],
    ['column_name_invalid', `${'n'.repeat(201)}\n1`, {}],
    ['column_name_invalid', 'a,"b\nc"\n1,2', {}],
  ])('refuses %s: %j', (code, text, options) => {
    expect(() => csv(text, options)).toThrow(fault(code));
  });

  it('names the likely delimiter and the line of a fault', () => {
    expect(() => csv('a\tb\n1\t2')).toThrow(/a tab; is that the delimiter/);
    expect(() => csv('a,b\n1,2\n3\n')).toThrow(/line 3 has only 1/);
    expect(() => readCsv(Uint8Array.of(0x61, 0x0a, 0xff, 0xfe))).toThrow(fault('csv_malformed'));
  });

  it('tells copies of a column from others of its name', () => {
    const table = csv('a,a,b,b,c,c,d,d\n1,1,x,x,1,2,x,y\n?,?,?,?,3,3,z,z\n2,2,y,y,4,4,x,x\n');
    expect([...table.ambiguous!]).toEqual(['c', 'd']);
    expect(() => requireOneOfEach(table, ['a', 'b'])).not.toThrow();
    expect(() => requireOneOfEach(table, ['a', 'd'])).toThrow(/two different columns are called "d"/);
  });

  it('survives what it writes', () => {
    const text = writeCsv([
      { name: 'x,1', values: [1.5, Number.NaN, -3] },
      { name: 'y', values: ['a"b', null, 'c\nd'] },
    ]);
    const table = csv(text);
    expect(table.columns[0]).toMatchObject({ name: 'x,1', missing: 1 });
    expect(columnTexts(table.columns[1]!)).toEqual(['a"b', null, 'c\nd']);
  });
});

describe('column names', () => {
  it('are made unique and stay harmless', () => {
    expect(columnNames(['a', 'a', 'b', 'a', 'a.2'])).toEqual(['a', 'a.3', 'b', 'a.4', 'a.2']);
    expect(columnNames(['', 'x', ''])).toEqual(['unnamed', 'x', 'unnamed.2']);
    const table = csv('__proto__,constructor,=cmd()\n1,2,3\n');
    expect(table.columns.map((c) => c.name)).toEqual(['__proto__', 'constructor', '=cmd()']);
    expect(() => columnOf(table, 'toString')).toThrow(fault('column_missing'));
  });
});

describe('columns of labels', () => {
  it('keep their spelling, and columns that nobody reads are not there', () => {
    const text = 'id,big,x,secret\n01,9007199254740993,1e1,s\n1,9007199254740992,10,t\n';
    const table = readCsv(bytes(text), { read: ['id', 'big', 'x'], text: ['id', 'big'] });
    expect(table.columns.map((c) => [c.name, c.kind])).toEqual([
      ['id', 'category'],
      ['big', 'category'],
      ['x', 'number'],
    ]);
    expect(columnTexts(table.columns[0]!)).toEqual(['01', '1']);
    expect(columnTexts(table.columns[1]!)).toEqual(['9007199254740993', '9007199254740992']);
    expect(columnTexts(table.columns[2]!)).toEqual(['10', '10']);
    expect(JSON.stringify(tableSchema(table))).not.toContain('secret');
    expect(() => columnOf(table, 'nothing')).toThrow(/it has: id, big, x, secret/);
    const json = tableFromColumns({ g: [1, 10], x: [1, 2] }, {}, { read: ['g'], text: ['g'] });
    expect(json.columns.map((c) => [c.name, c.kind])).toEqual([['g', 'category']]);
    // Another column of the same name is still seen to differ.
    expect(readCsv(bytes('y,y\n1,2\n'), { read: ['y'] }).ambiguous).toEqual(new Set(['y']));
  });
});

describe('Arrow', () => {
  const source = tableFromArrays({
    x: [1, 2.5, null],
    flag: [true, false, true],
    s: ['a', 'b', null],
    n: Int32Array.of(1, 2, 3),
  });

  it.each(['stream', 'file'] as const)('reads a %s of numbers, booleans and dictionaries', (format) => {
    const table = readArrow(tableToIPC(source, { format })!);
    expect(tableSchema(table).map(({ name, kind, missing }) => [name, kind, missing])).toEqual([
      ['x', 'number', 1],
      ['flag', 'category', 0],
      ['s', 'category', 1],
      ['n', 'number', 0],
    ]);
    expect(columnTexts(table.columns[2]!)).toEqual(['a', 'b', null]);
    const infinite = readArrow(tableToIPC(tableFromArrays({ x: [1, 1 / 0, 0 / 0] }), { format })!);
    expect(infinite.columns[0]).toMatchObject({ missing: 2 });
  });

  it('refuses other bytes, damaged bytes and other types', () => {
    const good = tableToIPC(source, { format: 'stream' })!;
    for (const other of [bytes('a,b\n1,2'), new Uint8Array(0), new Uint8Array(500)]) {
      expect(() => readArrow(other)).toThrow(fault('arrow_malformed'));
    }
    for (let cut = 8; cut < good.length - 40; cut += 97) {
      // Between two messages a stream may end: what is left then has no rows, and none are made up.
      let rows = 0;
      try {
        rows = readArrow(good.slice(0, cut)).rows;
      } catch (error) {
        expect(error).toMatchObject({ code: 'data_invalid', errors: [{ code: 'arrow_malformed', pointer: '' }] });
      }
      expect(rows).toBe(0);
    }
    const dates = tableToIPC(tableFromArrays({ d: [new Date(0)] }), { format: 'stream' })!;
    const lists = tableToIPC(tableFromArrays({ l: [[1, 2], [3]] }), { format: 'stream' })!;
    expect(() => readArrow(lists)).toThrow(fault('arrow_malformed'));
    const large = tableToIPC(tableFromArrays({ id: BigInt64Array.of(1n, 2n ** 60n) }), { format: 'stream' })!;
    expect(() => readArrow(large)).toThrow(/id holds 1152921504606846976, an integer beyond 2\^53/);
    // As a label it keeps its digits, and where nobody reads it, it stands in nobody's way.
    expect(columnTexts(readArrow(large, {}, { text: ['id'] }).columns[0]!)).toEqual(['1', '1152921504606846976']);
    expect(readArrow(large, {}, { read: [] }).columns).toEqual([]);
    const beside = tableToIPC(tableFromArrays({ l: [[1, 2], [3]], x: [1, 2] }), { format: 'stream' })!;
    expect(readArrow(beside, {}, { read: ['x'] }).columns.map((c) => c.name)).toEqual(['x']);
    // A date is a number of milliseconds to the reader; what matters is that nothing else comes out of it.
    expect(readArrow(dates).columns[0]!.kind).toBe('number');
    expect(() => readArrow(good, { columns: 2 })).toThrow(fault('table_too_large'));
  });
});
