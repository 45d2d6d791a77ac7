import { describe, expect, it } from 'vitest';
import { correct } from '../../../../shared/fairness/corrections/correct.ts';
import { correctionSchema } from '../../../../shared/fairness/corrections/document.ts';
import { correctionMs, requireCorrectionFits } from '../../../../shared/fairness/corrections/size.ts';
import { auditMs, EDGE_BUDGET_MS, layerMs, predictionMs, requireFits } from '../../../../shared/fairness/costs.ts';
import { compilePredictor } from '../../../../shared/fairness/predictors/compile.ts';
import { predictorDocumentSchema } from '../../../../shared/fairness/predictors/document.ts';
import { encodeTable, learnInputs } from '../../../../shared/fairness/predictors/encode.ts';
import type { InputEncoding } from '../../../../shared/fairness/predictors/input.ts';
import { activate, type DenseNetwork, forwardNetwork } from '../../../../shared/fairness/predictors/network.ts';
import { tableFromColumns } from '../../../../shared/formats/json-table.ts';
import { stream } from '../../../../shared/math/random.ts';

/** Names of the features that a table becomes. */
const featureNames = (inputs: readonly InputEncoding[]): string[] =>
  inputs.flatMap((input) =>
    input.kind === 'number' ? [input.name] : input.levels.map((level) => `${input.name}=${level}`),
  );

const fault = (code: string) =>
  expect.objectContaining({ code: 'data_invalid', errors: [expect.objectContaining({ code })] });

describe('dense networks', () => {
  it('agree with the definition for any number of rows, and stop at any layer', () => {
    const layers: DenseNetwork = [
      [3, 5, 'relu'],
      [5, 4, 'tanh'],
      [4, 1, 'logistic'],
    ].map(([inputs, outputs, activation], l) => ({
      inputs: inputs as number,
      outputs: outputs as number,
      weights: stream(l, 'w').normal((inputs as number) * (outputs as number)),
      bias: stream(l, 'b').normal(outputs as number),
      activation: activation as 'relu',
    }));
    for (const n of [1, 3, 4, 11, 2050]) {
      const x = stream(n, 'x').normal(3 * n);
      const out = forwardNetwork(layers, x, n);
      const middle = forwardNetwork(layers, x, n, 2);
      for (const i of [0, n >> 1, n - 1]) {
        let values = x.slice(3 * i, 3 * i + 3);
        layers.forEach(({ inputs, outputs, weights, bias, activation }, l) => {
          if (l === 2) {
            expect([...middle.subarray(4 * i, 4 * i + 4)].map((v) => v.toFixed(12))).toEqual(
              [...values].map((v) => v.toFixed(12)),
            );
          }
          const next = bias.map((b, o) => b + values.reduce((sum, v, j) => sum + v * weights[o * inputs + j]!, 0));
          expect(next).toHaveLength(outputs);
          activate(next, activation);
          values = next;
        });
        expect(out[i]).toBeCloseTo(values[0]!, 12);
      }
    }
  });
});

describe('encoding', () => {
  const table = tableFromColumns({ age: [20, 40, null], sex: ['f', 'm', 'f'], flag: [true, false, true] });

  it('learns what it needs of a table and applies it to another', () => {
    const inputs = learnInputs(table, ['age', 'sex', 'flag'], { categorical: ['flag'] });
    expect(featureNames(inputs)).toEqual(['age', 'sex=f', 'sex=m', 'flag=false', 'flag=true']);
    expect([...encodeTable(table, inputs)]).toEqual([-1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1]);
    const other = tableFromColumns({ flag: ['True'], sex: ['m'], age: [60] });
    expect([...encodeTable(other, inputs)]).toEqual([3, 0, 1, 0, 1]);
    const reference = learnInputs(table, ['sex'], { dropFirst: true });
    expect(featureNames(reference)).toEqual(['sex=m']);
    expect([...encodeTable(tableFromColumns({ sex: ['x', 'm'] }), reference)]).toEqual([0, 1]);
  });

  it('refuses what it was not told of', () => {
    const inputs = learnInputs(tableFromColumns({ age: [1, 2], sex: ['f', 'm'] }), ['age', 'sex']);
    expect(() => encodeTable(tableFromColumns({ age: [1], sex: ['q'] }), inputs)).toThrow(fault('group_unknown'));
    expect(() => encodeTable(tableFromColumns({ age: [null, 1], sex: ['f', 'f'] }), inputs)).toThrow(
      fault('value_not_finite'),
    );
    expect(() => encodeTable(tableFromColumns({ age: ['old'], sex: ['f'] }), inputs)).toThrow(
      fault('value_not_finite'),
    );
    expect(() => encodeTable(tableFromColumns({ age: [1] }), inputs)).toThrow(fault('column_missing'));
    expect(() => tableFromColumns({ a: [1, 'x'] })).toThrow(fault('columns_malformed'));
    expect(() => tableFromColumns({ a: [[1]] })).toThrow(fault('columns_malformed'));
  });
});

describe('predictor documents', () => {
  it('need group labels for lookahead predictors alone', () => {
    const input = { kind: 'number', name: 'x' };
    const network = predictorDocumentSchema.parse({
      kind: 'network',
      inputs: [input],
      layers: [{ weights: [[2]], bias: [1], activation: 'identity' }],
    });
    const gated = predictorDocumentSchema.parse({
      kind: 'gated',
      inputs: [input],
      gate: [[0, 0]],
      heads: [[1, 0]],
      pooled: [0, 0],
      link: 'identity',
    });
    const lookahead = predictorDocumentSchema.parse({
      kind: 'lookahead',
      attribute: { name: 'a', labels: ['p', 'q'] },
      scm: {
        values: [0, 1],
        status: 'y',
        variables: [
          { name: 'x', effects: [0, 1] },
          { name: 'y', parents: { x: 1 } },
        ],
      },
      eta: 2,
    });
    expect([network, gated, lookahead].map((d) => compilePredictor(d).attribute)).toEqual([null, null, 'a']);
    const table = tableFromColumns({ x: [1, -3] });
    expect([...compilePredictor(network).predict(table).scores]).toEqual([3, -5]);
    expect([...compilePredictor(gated).predict(table).scores]).toEqual([1, -3]);
    expect(() => compilePredictor(lookahead).predict(tableFromColumns({ x: [1], a: ['z'] }))).toThrow(
      fault('group_unknown'),
    );
  });
});

describe('costs', () => {
  it('grow with what is asked for, and the refusal names the job', () => {
    const cost = { multiplyAdds: 55, exponentials: 1, answers: 1 };
    expect(predictionMs(2000, 10, cost)).toBeCloseTo(2 * predictionMs(1000, 10, cost), 9);
    expect(predictionMs(1000, 10, { ...cost, answers: 3 })).toBeGreaterThan(predictionMs(1000, 10, cost));
    const size = {
      rows: 1000,
      groups: [2],
      draws: 500,
      permutations: 200,
      thresholds: 1,
      labelled: true,
      classified: true,
    };
    expect(auditMs({ ...size, groups: [2, 3, 6] })).toBeGreaterThan(auditMs(size));
    expect(auditMs({ ...size, heads: 5 })).toBeGreaterThan(auditMs(size));
    expect(layerMs(64, 64, 2)).toBeGreaterThan(layerMs(8, 8, 2));
    expect(() => requireFits(EDGE_BUDGET_MS, 'fairness.audit')).not.toThrow();
    expect(() => requireFits(EDGE_BUDGET_MS + 1, 'fairness.audit')).toThrow(
      expect.objectContaining({
        code: 'computation_too_large',
        details: expect.objectContaining({ job_type: 'fairness.audit' }),
      }),
    );
  });

  it('let a layer of 64 through and send wider ones on', () => {
    const layer = (width: number) =>
      correctionSchema.parse({
        method: 'layer',
        weights: Array.from({ length: width }, () => new Array(width).fill(0.1)),
        data: {
          moments: [0, 1].map((g) => ({
            count: 100,
            mean: new Array(width).fill(g),
            covariance: Array.from({ length: width }, (_, i) =>
              Array.from({ length: width }, (__, j) => Number(i === j)),
            ),
          })),
        },
      });
    expect(correctionMs(layer(64))).toBeLessThan(EDGE_BUDGET_MS);
    expect(() => requireCorrectionFits(layer(64))).not.toThrow();
    expect(() => requireCorrectionFits(layer(65))).toThrow(/fairness.correct/);
    const done = correct(layer(8)) as { weights: number[][]; steps: unknown[] };
    expect(done.weights).toHaveLength(8);
  });
});
