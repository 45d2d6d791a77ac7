/** Group thresholds over another predictor, or over a column of scores, made ready to run. */
import { jsonPointer } from '../../contracts/problem.ts';
import { booleanText, booleanValues, columnOf, columnTexts, type Table } from '../../formats/table.ts';
import { dataError } from '../data-error.ts';
import type { CompiledPredictor, Prediction } from '../predictors/compiled.ts';
import type { GroupThresholdsDocument } from '../predictors/document.ts';
import { acceptance, checkRules, decide } from './rule.ts';

/** Numbers of a column of scores. Raises `data_invalid`. */
function scoresOf(table: Table, name: string): Float64Array {
  const column = columnOf(table, name);
  const values = column.kind === 'number' ? column.values : booleanValues(column);
  if (!values) {
    throw dataError('value_not_finite', jsonPointer(['columns', name]), `${name} must be numbers; it holds texts`);
  }
  const missing = values.findIndex((value) => Number.isNaN(value));
  if (missing >= 0) {
    throw dataError('value_not_finite', jsonPointer(['columns', name, missing]), `row ${missing} has no ${name}`);
  }
  return values;
}

/** Texts of a column without missing cells. Raises `data_invalid`. */
function textsOf(table: Table, name: string): string[] {
  return columnTexts(columnOf(table, name)).map((text, i) => {
    if (text === null) {
      throw dataError('group_unknown', jsonPointer(['columns', name, i]), `row ${i} has no ${name}`);
    }
    return text;
  });
}

/** Reading a coin costs about as much as this many exponentials. */
const COIN = 4;

/** `base` is the compiled predictor under the thresholds; undefined where they are over a column of scores. */
export function compileThresholds(
  { attribute, groups, seed, id, base: given }: GroupThresholdsDocument,
  base: CompiledPredictor | undefined,
): CompiledPredictor {
  checkRules(groups);
  const rules = new Map(groups.map((rule) => [booleanText(rule.level), rule]));
  const scored = 'column' in given ? [given.column] : base!.columns;
  const labels = [attribute, ...(id === null ? [] : [id])];
  const cost = base?.cost ?? { multiplyAdds: 0, exponentials: 0, answers: 0 };
  return {
    kind: 'group_thresholds',
    columns: [...new Set([...labels, ...scored])],
    textColumns: [...new Set([...labels, ...(base?.textColumns ?? [])])],
    attribute,
    features: base?.features ?? 1,
    cost: { ...cost, exponentials: cost.exponentials + COIN, answers: cost.answers + 2 },
    predict(table): Prediction {
      const below: Prediction = base?.predict(table) ?? {
        scores: scoresOf(table, (given as { column: string }).column),
      };
      const levels = textsOf(table, attribute);
      const scores = below.scores.map((score, i) => {
        const rule = rules.get(levels[i]!);
        if (!rule) {
          throw dataError(
            'group_unknown',
            jsonPointer(['columns', attribute, i]),
            `row ${i} is of a group without thresholds; known: ${[...rules.keys()].slice(0, 20).join(', ')}`,
          );
        }
        return acceptance(rule, score);
      });
      const decisions = decide(scores, seed, id === null ? undefined : textsOf(table, id));
      return { scores, decisions, ...(below.unknownLevels && { unknownLevels: below.unknownLevels }) };
    },
  };
}
