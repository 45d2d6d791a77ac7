/** The three methods on every bundled table: the studies of the papers' tables, with the table's name before each method. */
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { gatedStudy } from '../gated.ts';
import { latentStudy } from '../lookahead.ts';
import { singularValueStudy } from '../singular-values.ts';
import { type Row, type Spread, spread } from '../spread.ts';
import { BUNDLED, bundledClassification, bundledLatent, bundledRegression } from './tables.ts';

type Told = (text: string) => void;

const CORRECTIONS = [
  'none',
  'both steps, c1 = 5, c2 = 150',
  'both steps, c1 = 15, c2 = 150',
  'mean only, c1 = 15',
  'scalar head, tau = 0.25',
  'scalar head, tau = 0',
  'barycentre, true group',
  'barycentre, predicted group',
];
const SCORES = ['counterfactually fair (h(K))', ...[10, 1].flatMap((eta) => [0.5, 1].map((rho) => scoreOf(eta, rho)))];

function scoreOf(eta: number, rho: number): string {
  return `lookahead, eta = ${eta}, rho = ${rho}`;
}

const under = (table: string, rows: readonly Row[], methods?: readonly string[]): Row[] =>
  rows
    .filter(({ method }) => !methods || methods.includes(method))
    .map((row) => ({ ...row, method: `${table}: ${row.method}` }));

const ignore = (): void => {};

/** Smallest mean gap, in standard deviations of the target, that counts as one to close. */
const GAP = 0.1;
const meanOf = (rows: readonly Row[], method: string, metric: string): number => {
  const cell = rows.find((row) => row.method === method)![metric] as Spread;
  return cell.mean ?? Number.NaN;
};

/** `compared` is told of every table with a gap whether the scalar head ends with less error, and with a smaller KS distance, than both steps. */
export async function bundledSingularValues(
  seeds: number,
  told: Told,
  compared: (lessError: boolean, lessDistance: boolean) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of Object.keys(BUNDLED)) {
    const own = await singularValueStudy(bundledRegression(name), seeds, ignore);
    rows.push(...under(name, own, CORRECTIONS));
    if (meanOf(own, 'none', 'mean gap') >= GAP) {
      const less = (metric: string): boolean =>
        meanOf(own, 'scalar head, tau = 0', metric) < meanOf(own, 'both steps, c1 = 15, c2 = 150', metric);
      compared(less('MSE'), less('KS'));
    }
    told(name);
  }
  return rows;
}

export function bundledGated(seeds: number, told: Told): Row[] {
  return Object.keys(BUNDLED).flatMap((name) => {
    const table = bundledClassification(name);
    const settings = { groups: [2, 3], steps: 300, restarts: 3, robust: false };
    const rows = gatedStudy(() => table, seeds, settings, ignore);
    told(name);
    return under(name, rows);
  });
}

/** A table whose sampler does not arrive has one row that says so. */
export function bundledLookahead(told: Told): Row[] {
  return Object.keys(BUNDLED).flatMap((name) => {
    try {
      const sampling = { burnIn: 300, samples: 600, statusVariance: null };
      const { rows } = latentStudy(bundledLatent(name), sampling, ignore);
      told(name);
      return under(name, rows, SCORES);
    } catch (error) {
      if (!(error instanceof SextantError && error.code === 'not_converged')) {
        throw error;
      }
      told(`${name}: ${error.message}`);
      const none = spread([Number.NaN]);
      return [{ method: `${name}: not fitted, ${error.message}`, MSE: none, 'present gap': none, 'future gap': none }];
    }
  });
}
