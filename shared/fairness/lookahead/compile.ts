/** Lookahead documents checked once and made ready to run over tables with a column of group labels. */
import { jsonPointer } from '../../contracts/problem.ts';
import { booleanText, columnOf, columnTexts, type Table } from '../../formats/table.ts';
import { dataError } from '../data-error.ts';
import type { CompiledPredictor, Prediction } from '../predictors/compiled.ts';
import {
  categoryNames,
  countedLevels,
  encodeTable,
  featureCount,
  requireDistinctLevels,
} from '../predictors/encode.ts';
import type { InputEncoding } from '../predictors/input.ts';
import type { LookaheadPredictor } from './compiled.ts';
import type { LatentDocument, LookaheadDocument, MultiplicativeDocument, ScmDocument } from './document.ts';
import { compileLatent, type LatentPredictor, predictLatent } from './latent.ts';
import { compileMultiplicative, predictMultiplicative } from './multiplicative.ts';
import { compileLookahead, predictLookahead } from './predictor.ts';
import type { LinearScm } from './scm.ts';

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
    ...(document.outer && { outer: document.outer }),
    ...(document.curve && { curve: document.curve }),
    ...(document.lowest !== undefined && { lowest: document.lowest }),
    p2: document.p2,
    p3: document.p3,
    free: document.free,
  };
}

/** The columns of a predictor. Raises `data_invalid` where labels repeat or the attribute is also read as something else. */
function columnsWith(inputs: readonly string[], { name, labels }: LookaheadDocument['attribute']): string[] {
  labels.forEach((label, k) => {
    if (labels.indexOf(label) !== k) {
      throw dataError('scm_invalid', `/attribute/labels/${k}`, `two values of the attribute have the label "${label}"`);
    }
  });
  if (inputs.includes(name)) {
    throw dataError(
      'scm_invalid',
      '/attribute/name',
      `${name} is a variable of the model; labels need a column of their own`,
    );
  }
  return [...inputs, name];
}

/** Attribute value numbers of a table's rows. Raises `data_invalid` (group_unknown) for a label that is not listed. */
export function attributeGroupIds(table: Table, name: string, labels: readonly string[]): Int32Array {
  const at = new Map(labels.map((label, k) => [booleanText(label), k]));
  return Int32Array.from(columnTexts(columnOf(table, name)), (text, i) => {
    const code = text === null ? undefined : at.get(text);
    if (code === undefined) {
      throw dataError(
        'group_unknown',
        jsonPointer(['columns', name, i]),
        `row ${i} has ${text === null ? 'no value' : `"${text.slice(0, 60)}"`} for ${name}; known: ${labels.join(', ')}`,
      );
    }
    return code;
  });
}

/** Columns read as they are, as plain numbers. */
export const plainInputs = (names: readonly string[]): InputEncoding[] =>
  names.map((name) => ({ kind: 'number', name, mean: 0, scale: 1, missing: null }));

type Gaps = { present: Float64Array; future: Float64Array };
/** Runs a method over a table's rows and group labels, with the gaps of every person. */
function predictWithGaps(
  table: Table,
  attribute: { name: string; labels: readonly string[] },
  run: (groupIds: Int32Array, scores: Float64Array, gaps: Gaps) => void,
): Prediction {
  const groupIds = attributeGroupIds(table, attribute.name, attribute.labels);
  const scores = new Float64Array(table.rows);
  const [presentGap, futureGap] = [new Float64Array(table.rows), new Float64Array(table.rows)];
  run(groupIds, scores, { present: presentGap, future: futureGap });
  return { scores, presentGap, futureGap };
}

/** A score and two gaps. */
const ANSWERS = 3;
/** A power costs about as much as this many exponentials. */
const POWER = 4;

export function compileLinear(document: LookaheadDocument): CompiledPredictor {
  const compiled = compileLookahead(lookaheadOf(document));
  const { attribute } = document;
  const inputs = plainInputs(compiled.inputs);
  const values = attribute.labels.length;
  // Every world of a shaped score takes a status, its slope and the future, and its outer function and slope.
  const powers = (document.curve ? 3 : 0) + (document.outer && document.outer.kind !== 'quadratic' ? 2 : 0);
  return {
    kind: document.kind,
    columns: columnsWith(compiled.inputs, attribute),
    textColumns: [attribute.name],
    attribute: attribute.name,
    features: inputs.length,
    cost: {
      multiplyAdds: 2 * inputs.length + 8 * values,
      exponentials: POWER * powers * values,
      answers: ANSWERS,
    },
    predict: (table) =>
      predictWithGaps(table, attribute, (groupIds, scores, gaps) =>
        predictLookahead(compiled, encodeTable(table, inputs), groupIds, scores, gaps),
      ),
  };
}

export function compileScaled(document: MultiplicativeDocument): CompiledPredictor {
  const { attribute, status_observed: statusObserved } = document;
  const compiled = compileMultiplicative({ ...document, statusObserved });
  const inputs = plainInputs(compiled.inputs);
  return {
    kind: document.kind,
    columns: columnsWith(compiled.inputs, attribute),
    textColumns: [attribute.name],
    attribute: attribute.name,
    features: inputs.length,
    cost: { multiplyAdds: inputs.length + 12, exponentials: 0, answers: ANSWERS },
    predict: (table) =>
      predictWithGaps(table, attribute, (groupIds, scores, gaps) =>
        predictMultiplicative(compiled, encodeTable(table, inputs), groupIds, scores, gaps),
      ),
  };
}

/** Evaluations of the density of K per row: Newton steps to the mode, then the grid. */
const POSTERIOR_EVALUATIONS = 80;

export function compileKnowledge(document: LatentDocument): CompiledPredictor {
  requireDistinctLevels(document.covariates, '/covariates');
  const { attribute } = document;
  const covariates = featureCount(document.covariates);
  const predictor: LatentPredictor = { ...document, values: attribute.labels.length, covariates };
  const compiled = compileLatent(predictor);
  const inputs = plainInputs(compiled.inputs);
  const equations = inputs.length + 1;
  const evaluations = compiled.poisson > 0 ? POSTERIOR_EVALUATIONS : 0;
  return {
    kind: document.kind,
    columns: columnsWith([...compiled.inputs, ...document.covariates.map((input) => input.name)], attribute),
    textColumns: [attribute.name, ...categoryNames(document.covariates)],
    attribute: attribute.name,
    features: inputs.length + covariates,
    cost: {
      multiplyAdds: equations * (covariates + 8) + 8 * predictor.values + 8 * evaluations * equations,
      exponentials: evaluations * (compiled.poisson + 1),
      answers: ANSWERS,
    },
    predict(table) {
      const unknown = new Map<string, number>();
      const covariateRows = encodeTable(table, document.covariates, unknown);
      const prediction = predictWithGaps(table, attribute, (groupIds, scores, gaps) =>
        predictLatent(compiled, encodeTable(table, inputs), covariateRows, groupIds, scores, gaps),
      );
      return { ...prediction, unknownLevels: countedLevels(unknown) };
    },
  };
}
