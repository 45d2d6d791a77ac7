/** Predictor documents checked once and made ready to run over feature matrices. */
import { dataError, placed } from '../data-error.ts';
import { checkGated, type GatedPredictor, predictGated } from '../gated/predictor.ts';
import { compileKnowledge, compileLinear, compileScaled } from '../lookahead/compile.ts';
import { compileThresholds } from '../thresholds/compile.ts';
import type { CompiledPredictor } from './compiled.ts';
import type { GatedDocument, NetworkDocument, PredictorDocument } from './document.ts';
import { categoryNames, countedLevels, encodeTable, featureCount, requireDistinctLevels } from './encode.ts';
import { checkNetwork, type DenseNetwork, forwardNetwork, networkSize } from './network.ts';

const flat = (rows: readonly (readonly number[])[], width: number, name: string): Float64Array => {
  const out = new Float64Array(rows.length * width);
  rows.forEach((row, i) => {
    if (row.length !== width) {
      throw dataError(
        'weights_misfit',
        `/${name}/${i}`,
        `row ${i} of ${name} has ${row.length} values, ${width} are needed`,
      );
    }
    out.set(row, i * width);
  });
  return out;
};

export function gatedOf(document: GatedDocument): GatedPredictor {
  requireDistinctLevels(document.inputs);
  const width = featureCount(document.inputs) + 1;
  const groups = document.gate.length;
  if (document.heads.length !== groups) {
    throw dataError('weights_misfit', '/heads', `${groups} groups need ${groups} heads, got ${document.heads.length}`);
  }
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

export function networkOf(document: NetworkDocument): DenseNetwork {
  requireDistinctLevels(document.inputs);
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

/** Checks a document and makes it ready. Raises `data_invalid` (weights_misfit, scm_*, response_invalid, ...). */
export function compilePredictor(document: PredictorDocument): CompiledPredictor {
  const compiled = compileKind(document);
  return {
    ...compiled,
    predict(table) {
      const prediction = compiled.predict(table);
      // Weights and cells that are finite can still overflow; JSON has no way to say so.
      const bad = prediction.scores.findIndex((score) => !Number.isFinite(score));
      if (bad >= 0) {
        throw dataError('value_not_finite', '/columns', `the score of row ${bad} is beyond double precision`);
      }
      return prediction;
    },
  };
}

function compileKind(document: PredictorDocument): CompiledPredictor {
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
        textColumns: categoryNames(document.inputs),
        attribute: null,
        features: layers[0]!.inputs,
        cost: { multiplyAdds: networkSize(layers), exponentials, answers: 1 },
        predict(table) {
          const unknown = new Map<string, number>();
          const scores = forwardNetwork(layers, encodeTable(table, document.inputs, unknown), table.rows);
          return { scores, unknownLevels: countedLevels(unknown) };
        },
      };
    }
    case 'gated': {
      const predictor = gatedOf(document);
      return {
        kind: 'gated',
        columns: document.inputs.map((input) => input.name),
        textColumns: categoryNames(document.inputs),
        attribute: null,
        features: predictor.features,
        cost: { multiplyAdds: (predictor.groups + 1) * (predictor.features + 1), exponentials: 1, answers: 1 },
        predict(table) {
          const [scores, routed] = [new Float64Array(table.rows), new Uint8Array(table.rows)];
          const unknown = new Map<string, number>();
          predictGated(predictor, encodeTable(table, document.inputs, unknown), scores, routed);
          return { scores, routed, unknownLevels: countedLevels(unknown) };
        },
      };
    }
    case 'lookahead':
      return compileLinear(document);
    case 'lookahead_multiplicative':
      return compileScaled(document);
    case 'lookahead_latent':
      return compileKnowledge(document);
    case 'group_thresholds':
      return compileThresholds(
        document,
        'column' in document.base
          ? undefined
          : placed(
              (pointer) => `/base${pointer}`,
              () => compileKind(document.base as PredictorDocument),
            ),
      );
    default:
      return document satisfies never;
  }
}
