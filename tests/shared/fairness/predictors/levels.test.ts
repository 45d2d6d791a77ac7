import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { momentsOf } from '../../../../shared/fairness/corrections/group-data.ts';
import { compilePredictor } from '../../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../../shared/fairness/predictors/document.ts';
import { encodeTable, learnInputs } from '../../../../shared/fairness/predictors/encode.ts';
import { readArrow } from '../../../../shared/formats/arrow.ts';
import { readCsv } from '../../../../shared/formats/csv.ts';
import { tableFromColumns } from '../../../../shared/formats/json-table.ts';

const csv = (text: string) => readCsv(new TextEncoder().encode(text));
const documentWith = (input: object) =>
  predictorDocumentSchema.parse({
    kind: 'network',
    inputs: [input],
    layers: [{ weights: [[1, 2]], bias: [0], activation: 'identity' }],
  });

describe('levels', () => {
  it('of truth values are one whichever tool wrote them', () => {
    const inputs = learnInputs(csv('flag\nTrue\nFalse\nTrue\n'), ['flag']);
    const expected = [0, 1, 1, 0];
    const tables = [
      csv('flag\ntrue\nfalse\n'),
      csv('flag\nTRUE\nFALSE\n'),
      tableFromColumns({ flag: [true, false] }),
      tableFromColumns({ flag: ['True', 'False'] }),
      readArrow(tableToIPC(tableFromArrays({ flag: [true, false] }), { format: 'stream' })!),
    ];
    for (const table of tables) {
      expect([...encodeTable(table, inputs)]).toEqual(expected);
    }
    // A number input takes them as 0 and 1.
    const number = learnInputs(tableFromColumns({ flag: [0, 1] }), ['flag']).map((i) => ({ ...i, mean: 0, scale: 1 }));
    for (const table of tables) {
      expect([...encodeTable(table, number)]).toEqual([1, 0]);
    }
  });

  it('that a predictor does not know are counted by column', () => {
    const input = { kind: 'category', name: 'c', levels: ['p', 'q'], unknown: 'zeros' };
    const predictor = compilePredictor(documentWith(input));
    const { scores, unknownLevels } = predictor.predict(tableFromColumns({ c: ['p', 'new', 'other', 'q'] }));
    expect([...scores]).toEqual([1, 0, 0, 2]);
    expect(unknownLevels).toEqual([{ column: 'c', rows: 2 }]);
    // The level that stands for 0 in every indicator is known.
    const [dropped] = learnInputs(tableFromColumns({ c: ['a', 'p', 'q'] }), ['c'], { dropFirst: true });
    const again = compilePredictor(documentWith(dropped!)).predict(tableFromColumns({ c: ['a', 'p', 'new'] }));
    expect(again.unknownLevels).toEqual([{ column: 'c', rows: 1 }]);
  });

  it('listed twice are refused, also where they differ in spelling alone', () => {
    for (const levels of [
      ['p', 'p'],
      ['True', 'true'],
    ]) {
      expect(() => compilePredictor(documentWith({ kind: 'category', name: 'c', levels }))).toThrow(/a level twice/);
    }
  });
});

describe('moments', () => {
  it('are refused where no data has such a covariance, though every pair could', () => {
    const identity = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ];
    const odd = [
      [1, 0.9, -0.9],
      [0.9, 1, 0.9],
      [-0.9, 0.9, 1],
    ];
    const of = (covariance: number[][]) => ({
      moments: [covariance, identity].map((c) => ({ count: 9, mean: [0, 0, 0], covariance: c })),
    });
    expect(() => momentsOf(of(odd), 3)).toThrow(/negative variance/);
    const singular = [
      [1, 1, 0],
      [1, 1, 0],
      [0, 0, 0],
    ];
    expect(momentsOf(of(singular), 3)).toHaveLength(2);
  });
});
