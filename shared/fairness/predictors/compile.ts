/** Predictor documents checked once and made ready to run over feature matrices. */
import { columnOf, columnTexts, type Table } from '../../formats/table.ts';
import { dataError } from '../data-error.ts';
import { checkGated, type GatedPredictor, predictGated } from '../gated/predictor.ts';
import {
  type CompiledLookahead,
  compileLookahead,
  type LookaheadPredictor,
  predictLookahead,
} from '../lookahead/predictor.ts';
import type { LinearScm } from '../lookahead/scm.ts';
import type { GatedDocument, InputEncoding, LookaheadDocument, PredictorDocument, ScmDocument } from './document.ts';
import { encodeTable, featureCount } from './encode.ts';
import { checkNetwork, type DenseNetwork, forwardNetwork, networkSize } from './network.ts';

/** Multiply-adds and transcendental functions per row. */
export type RowCost = { multiplyAdds: number; exponentials: number };
export type Prediction = {
  scores: Float64Array;
  /** Learned group of every row (gated). */
  routed?: Uint8Array;
  /** Each person's mean |gap| to the counterfactual worlds, now and after the reaction (lookahead). */
  presentGap?: Float64Array;
  futureGap?: Float64Array;
};
export type CompiledPredictor = {
  kind: PredictorDocument['kind'];
  /** Columns a table must have. */
  columns: readonly string[];
  /** The column whose values are group labels, for kinds that need them. */
  attribute: string | null;
  features: number;
  cost: RowCost;
  predict(table: Table): Prediction;
};

const flat = (rows: readonly (readonly number[])[], width: number, name: string): Float64Array => {
  const out = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    if (row.length !== width)
      throw dataError(
        'weights_misfit',
        `/${name}/${i}`,
        `row ${i} of ${name} has ${row.length} values, ${width} are needed`,
      );
    out.set(row, i * width);
  });
  return out;
};

export function gatedOf(document: GatedDocument): GatedPredictor {
  const width = featureCount(document.inputs) + 1;
  const groups = document.gate.length;
  if (document.heads.length !== groups)
    throw dataError('weights_misfit', '/heads', `${groups} groups need ${groups} heads, got ${document.heads.length}`);
  const predictor: GatedPredictor = {
    features: width - 1,
    groups,
    gate: flat(document.gate, width, 'gate'),
    heads: flat(document.heads, width, 'heads'),
    pooled: flat([document.pooled], width, 'pooled'),
    serving: document.serving ? Int32Array.from(document.serving) : Int32Array.from({ length: groups }, (_, k) => k),
    link: document.link,
  };
  checkGated(predictor);
  return predictor;
}

export function networkOf(document: Extract<PredictorDocument, { kind: 'network' }>): DenseNetwork {
  let inputs = featureCount(document.inputs);
  const layers = document.layers.map(({ weights, bias, activation }, l) => {
    const layer = {
      inputs,
      outputs: weights.length,
      weights: flat(weights, inputs, `layers/${l}/weights`),
      bias: Float64Array.from(bias),
      activation,
    };
    inputs = weights.length;
    return layer;
  });
  checkNetwork(layers);
  return layers;
}

/** Effects given as one number stand for that number times the attribute's value. */
export const scmOf = ({ values, status, variables }: ScmDocument): LinearScm => ({
  values,
  status,
  variables: variables.map((v) => ({
    ...v,
    effects: typeof v.effects === 'number' ? values.map((a) => a * (v.effects as number)) : v.effects,
  })),
});

export function lookaheadOf(document: LookaheadDocument): LookaheadPredictor {
  const scm = scmOf(document.scm);
  if (document.attribute.labels.length !== scm.values.length) {
    throw dataError(
      'scm_invalid',
      '/attribute/labels',
      `the attribute has ${scm.values.length} values, so it needs as many labels`,
    );
  }
  return {
    scm,
    eta: document.eta,
    rho: document.rho,
    statusObserved: document.status_observed,
    noise: document.noise,
    ...(document.path && { path: document.path }),
    p2: document.p2,
    p3: document.p3,
    free: document.free,
  };
}

/** Attribute value numbers of a table's rows. Raises `data_invalid` (group_unknown) for a label that is not listed. */
export function attributeCodes(table: Table, name: string, labels: readonly string[]): Int32Array {
  const at = new Map(labels.map((label, k) => [label, k]));
  return Int32Array.from(columnTexts(columnOf(table, name)), (text, i) => {
    const code = text === null ? undefined : at.get(text);
    if (code === undefined) {
      throw dataError(
        'group_unknown',
        `/columns/${name}/${i}`,
        `row ${i} has ${text === null ? 'no value' : `"${text.slice(0, 60)}"`} for ${name}; known: ${labels.join(', ')}`,
      );
    }
    return code;
  });
}

/** The columns a lookahead predictor reads, as plain numbers. */
export const plainInputs = (names: readonly string[]): InputEncoding[] =>
  names.map((name) => ({ kind: 'number', name, mean: 0, scale: 1, missing: null }));

function lookahead(document: LookaheadDocument): CompiledPredictor {
  const compiled: CompiledLookahead = compileLookahead(lookaheadOf(document));
  const { name, labels } = document.attribute;
  const inputs = plainInputs(compiled.inputs);
  return {
    kind: 'lookahead',
    columns: [...compiled.inputs, name],
    attribute: name,
    features: inputs.length,
    cost: { multiplyAdds: 2 * inputs.length + 8 * labels.length, exponentials: 0 },
    predict(table) {
      const rows = encodeTable(table, inputs);
      const codes = attributeCodes(table, name, labels);
      const [scores, presentGap, futureGap] = [0, 1, 2].map(() => new Float64Array(table.rows)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      predictLookahead(compiled, rows, codes, scores, { present: presentGap, future: futureGap });
      return { scores, presentGap, futureGap };
    },
  };
}

/** Checks a document and makes it ready. Raises `data_invalid` (weights_misfit, scm_*, response_invalid, ...). */
export function compilePredictor(document: PredictorDocument): CompiledPredictor {
  switch (document.kind) {
    case 'network': {
      const layers = networkOf(document);
      const exponentials = layers.reduce(
        (sum, l) => sum + (l.activation === 'tanh' || l.activation === 'logistic' ? l.outputs : 0),
        0,
      );
      return {
        kind: 'network',
        columns: document.inputs.map((input) => input.name),
        attribute: null,
        features: layers[0]!.inputs,
        cost: { multiplyAdds: networkSize(layers), exponentials },
        predict: (table) => ({ scores: forwardNetwork(layers, encodeTable(table, document.inputs), table.rows) }),
      };
    }
    case 'gated': {
      const predictor = gatedOf(document);
      return {
        kind: 'gated',
        columns: document.inputs.map((input) => input.name),
        attribute: null,
        features: predictor.features,
        cost: { multiplyAdds: (predictor.groups + 1) * (predictor.features + 1), exponentials: 1 },
        predict(table) {
          const [scores, routed] = [new Float64Array(table.rows), new Uint8Array(table.rows)];
          predictGated(predictor, encodeTable(table, document.inputs), scores, routed);
          return { scores, routed };
        },
      };
    }
    case 'lookahead':
      return lookahead(document);
    default:
      return document satisfies never;
  }
}
