/** The tables that scikit-learn and statsmodels bring along (`convert.py`), and what the three methods are asked of each. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { grouping } from '../../../../shared/fairness/audit/groups.ts';
import { encodeTable, featureCount, learnInputs } from '../../../../shared/fairness/predictors/encode.ts';
import { readCsv } from '../../../../shared/formats/csv.ts';
import { columnOf, columnTexts, type Table } from '../../../../shared/formats/table.ts';
import { type Labelled, type LatentTable, numbers, type Prepared } from '../tables.ts';

type Asked = {
  target: string;
  outcome: string;
  /** Columns that say the same as the other of target and outcome, kept from the features. */
  same?: string[];
  latent: { children: Record<string, 'gaussian' | 'poisson'>; covariates: string[] };
};

/** Columns that are neither the group, the target nor the outcome are features of both. */
export const BUNDLED: Readonly<Record<string, Asked>> = {
  diabetes: {
    target: 'progression',
    outcome: 'above',
    latent: { children: { bmi: 'gaussian', bp: 'gaussian' }, covariates: ['age'] },
  },
  anes96: {
    target: 'selfLR',
    outcome: 'vote',
    latent: { children: { educ: 'gaussian', income: 'gaussian' }, covariates: ['TVnews'] },
  },
  randhie: {
    target: 'log_visits',
    outcome: 'any_visit',
    same: ['poor_health'],
    latent: { children: { disea: 'gaussian', poor_health: 'poisson' }, covariates: ['lncoins'] },
  },
  fair: {
    target: 'rate_marriage',
    outcome: 'any_affair',
    same: ['affairs'],
    latent: { children: { educ: 'gaussian', children: 'poisson' }, covariates: ['age'] },
  },
  'fair-pt': {
    target: 'rate_marriage',
    outcome: 'any_affair',
    same: ['naffairs'],
    latent: { children: { education: 'gaussian', nchildren: 'poisson' }, covariates: ['age'] },
  },
  'birth-weight': {
    target: 'weight',
    outcome: 'low_weight',
    latent: { children: { medu: 'gaussian', nprenatal: 'poisson' }, covariates: ['mage', 'smoker'] },
  },
  'doctor-visits': {
    target: 'log_visits',
    outcome: 'private',
    latent: { children: { educyr: 'gaussian', totchr: 'poisson' }, covariates: ['age'] },
  },
};

function open(name: string): Table {
  const file = join(import.meta.dirname, `${name}.csv`);
  if (!existsSync(file)) {
    throw new Error(`${name}.csv is not committed; write it with convert.py (its first lines say how)`);
  }
  return readCsv(new Uint8Array(readFileSync(file)));
}

const standardised = (values: Float64Array): Float64Array => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  return values.map((x) => (x - mean) / deviation);
};

function featuresOf(table: Table, { target, outcome, same = [] }: Asked): { x: Float64Array; d: number } {
  const kept = table.columns.map(({ name }) => name).filter((n) => !['group', target, outcome, ...same].includes(n));
  const inputs = learnInputs(table, kept);
  return { x: encodeTable(table, inputs), d: featureCount(inputs) };
}
const groupOf = (table: Table) => grouping('group', columnTexts(columnOf(table, 'group')));

/** The target in its standard deviations. */
export function bundledRegression(name: string): Prepared {
  const [table, asked] = [open(name), BUNDLED[name]!];
  const y = standardised(numbers(table, asked.target));
  return { rows: { ...featuresOf(table, asked), y }, group: groupOf(table) };
}

export function bundledClassification(name: string): Labelled {
  const [table, asked] = [open(name), BUNDLED[name]!];
  return { rows: { ...featuresOf(table, asked), y: numbers(table, asked.outcome) }, demographic: groupOf(table) };
}

/** Gaussian children, covariates and the status in their standard deviations; counts as they are. */
export function bundledLatent(name: string): LatentTable {
  const [table, { target, latent }] = [open(name), BUNDLED[name]!];
  const columns = latent.covariates.map((covariate) => standardised(numbers(table, covariate)));
  const width = columns.length;
  return {
    n: table.rows,
    children: Object.entries(latent.children).map(([child, family]) => {
      const values = numbers(table, child);
      return { name: child, family, values: family === 'gaussian' ? standardised(values) : values };
    }),
    y: standardised(numbers(table, target)),
    groupIds: Int32Array.from(groupOf(table).groupIds),
    covariates: Float64Array.from({ length: table.rows * width }, (_, at) => columns[at % width]![(at / width) | 0]!),
    width,
  };
}
