/**
 * `npm run study -- fairness [part ...] [--seeds N]`: the three fairness methods on real and synthetic tables. Every part
 * leaves a JSON file under `results/`; `results/fairness.md` shows all of them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type GatedSettings, gatedStudy, xorSquare } from './fairness/gated.ts';
import { latentStudy, syntheticErrors, syntheticGaps } from './fairness/lookahead.ts';
import { singularValueStudy } from './fairness/singular-values.ts';
import { markdown, type StudyResult } from './fairness/spread.ts';
import * as tables from './fairness/tables.ts';

type Context = { seeds: number; note: (text: string) => void };
type Part = (context: Context) => Promise<Omit<StudyResult, 'seconds'>> | Omit<StudyResult, 'seconds'>;

const REGRESSION =
  '70/15/15 splits; a network of four hidden layers of 256 (Adam 1e-3, decay 0.8 per epoch, 20 epochs, batch 128); the last hidden layer is edited, the output refitted by least squares; means over test rows ± standard deviation over seeds.';
const real: GatedSettings = { groups: [2, 3, 4], steps: 300, restarts: 4 };
const GATED =
  'Linear gate and heads; 50/10/10/30 % for training, choice of the restart, guard and test; gaps are differences of error rates on test rows (above 0: better off); ± standard deviation over seeds.';

const PARTS: Record<string, Part> = {
  'svd-compas': async ({ seeds, note }) => ({
    title: 'Fair regression on COMPAS (5,855 rows, 14 features, African-American and other)',
    protocol: `${REGRESSION} ${seeds} seeds.`,
    reading:
      'Both steps together trade error for fairness without a group attribute at prediction time; either step alone is undone by the refit. Knowing the true group (barycentre) is better at equal error; predicting the group is not.',
    rows: await singularValueStudy(tables.compasRegression(), seeds, note),
  }),
  'svd-law': async ({ seeds, note }) => ({
    title: 'Fair regression on Law School (undergraduate GPA; all black and 4,000 white rows)',
    protocol: `${REGRESSION} ${seeds} seeds.`,
    reading: 'The features say little about the target, so there is little error to trade.',
    rows: await singularValueStudy(tables.lawRegression(), seeds, note),
  }),
  'dafh-xor': ({ seeds, note }) => ({
    title: 'Gated predictors on XOR with noisy demographics (rho = 0.1)',
    protocol: `3,000 points on the square, y = [x1 x2 > 0]; the demographic is [x1 > 0] flipped with probability 0.1. ${GATED} ${seeds} seeds.`,
    reading: 'The clean case: learned groups beat known but noisy ones.',
    rows: gatedStudy(
      (seed) => xorSquare(3000, seed, 0.1),
      seeds,
      { groups: [2], steps: 300, restarts: 6, robust: false },
      note,
    ),
  }),
  'dafh-compas': ({ seeds, note }) => {
    const table = tables.compasClassification();
    return {
      title: 'Gated predictors on COMPAS (7,214 rows, 7 features, audit by race x sex)',
      protocol: `${GATED} ${seeds} seeds.`,
      reading:
        'A pooled linear model is already near the ceiling: there is nothing to gain, and the guard mostly falls back to it.',
      rows: gatedStudy(() => table, seeds, real, note),
    };
  },
  'dafh-adult': ({ seeds, note }) => {
    const table = tables.adult();
    const few = Math.max(2, Math.round(seeds / 4));
    return {
      title: 'Gated predictors on Adult (45,222 rows, audit by race x sex)',
      protocol: `${GATED} ${few} seeds.`,
      reading:
        'Linear heads leave room here: learned groups raise accuracy over the pooled model for every demographic group on average.',
      rows: gatedStudy(() => table, few, { groups: [2, 4], steps: 300, restarts: 3 }, note),
    };
  },
  'lcf-synthetic': () => ({
    title: 'Future gaps in the published synthetic models (numpy seed 42, eta = 10)',
    protocol: '1,000 people; the present and future gaps of the status under each score.',
    reading: 'The linear and multiplicative rows are the closed forms |1 - 2 p1/T| exactly.',
    rows: syntheticGaps(),
  }),
  'lcf-synthetic-error': () => ({
    title: 'Errors in the published linear model (seeds 42 to 46, eta = 10)',
    protocol:
      '20 % train, 40 % test, labels of training rows with fresh noise, 100 draws of U_Y per test row; ± standard deviation over splits.',
    reading:
      'Exact fairness costs about as much error as the noise it is told to publish; counterfactual fairness costs far more and leaves the gap.',
    rows: syntheticErrors(),
  }),
  'lcf-law': ({ note }) => {
    const { rows, weight, effect } = latentStudy(
      tables.lawLatent(),
      { burnIn: 150, samples: 200, statusVariance: 1 },
      note,
    );
    return {
      title: 'Lookahead fairness on Law School (latent knowledge; sex flipped)',
      protocol:
        'UGPA Gaussian, LSAT Poisson, first-year average Gaussian with variance 1; race as covariate; one posterior (150 + 200 sweeps), five 80/20 splits, 20 draws per person.',
      reading: `The fitted weight of knowledge in the status is ${weight.toFixed(3)} and the effect of sex ${effect.toFixed(3)}: the present gap is small, and removing it in the future is nearly free when people react strongly.`,
      rows,
    };
  },
  'lcf-loan': ({ note }) => {
    const { rows, weight, effect } = latentStudy(
      tables.loanLatent(),
      { burnIn: 500, samples: 1000, statusVariance: null },
      note,
    );
    return {
      title: 'Lookahead fairness on loan applications (579 rows; gender flipped)',
      protocol:
        'Applicant and co-applicant income as Gaussian children (thousands), loan amount (hundreds) as status; married and area as covariates; one posterior (500 + 1000 sweeps), five splits, 20 draws per person.',
      reading: `579 rows, weight ${weight.toFixed(3)}, effect of gender ${effect.toFixed(3)}: read the errors as noisy.`,
      rows,
    };
  },
};

const results = join(import.meta.dirname, 'results');
const fileOf = (part: string): string => join(results, `fairness-${part}.json`);

/** The generated page: every part that has results, in order. */
function page(): string {
  const sections = Object.keys(PARTS)
    .filter((part) => existsSync(fileOf(part)))
    .map((part) => {
      const { title, protocol, reading, rows } = JSON.parse(readFileSync(fileOf(part), 'utf8')) as StudyResult;
      return `## ${title}\n\n${protocol}\n\n${markdown(rows)}\n\n${reading}\n`;
    });
  return `# Fairness results\n\nMade by \`npm run study -- fairness\`; the numbers lie beside this page as JSON.\n\n${sections.join('\n')}`;
}

export async function run(options: string[]): Promise<void> {
  const at = options.indexOf('--seeds');
  const seeds = at >= 0 ? Number(options[at + 1]) : 20;
  const named = options.filter((option, i) => !option.startsWith('--') && (at < 0 || i !== at + 1));
  const unknown = named.find((part) => !PARTS[part] && part !== 'page');
  if (unknown) throw new Error(`no part ${unknown}; parts: ${Object.keys(PARTS).join(', ')}, page`);
  mkdirSync(results, { recursive: true });
  for (const part of named.length ? named.filter((n) => n !== 'page') : Object.keys(PARTS)) {
    const began = performance.now();
    const result = await PARTS[part]!({ seeds, note: (text) => console.error(`${part}: ${text}`) });
    const seconds = Math.round((performance.now() - began) / 1000);
    const run = {
      device: 'cpu',
      cores: cpus().length,
      dtype: 'float32 training, float64 elsewhere',
      node: process.version,
    };
    writeFileSync(fileOf(part), `${JSON.stringify({ ...result, seconds, run }, null, 1)}\n`);
    console.log(`## ${result.title}\n\n${markdown(result.rows)}\n`);
  }
  writeFileSync(join(results, 'fairness.md'), page());
}
