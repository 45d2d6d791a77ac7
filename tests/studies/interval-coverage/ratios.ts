/** How often the interval of the smallest ratio of rates holds the truth. */
import { type GroupShare, smallestRatio } from '../../../shared/fairness/audit/ratios.ts';
import { wilsonInterval } from '../../../shared/math/proportions.ts';
import { stream } from '../../../shared/math/random.ts';

const LEVEL = 0.95;
const RATES = [0.1, 0.3];
const RATIOS = [1, 0.8, 0.5];

export type RatioCoverage = {
  groups: number;
  n: number;
  rate: number;
  ratio: number;
  coverage: number;
  /** Tables in which no pair has a ratio. */
  undefined: number;
};

/** One group has `ratio` times the rate of the others; n rows in every group, and the audit's level for all pairs at once. */
export function ratioCoverage(reps: number): RatioCoverage[] {
  const rows: RatioCoverage[] = [];
  for (const groups of [2, 3, 6]) {
    const all = 1 - (1 - LEVEL) / ((groups * (groups - 1)) / 2);
    for (const n of [50, 500]) {
      for (const rate of RATES) {
        for (const ratio of RATIOS) {
          let [hit, told] = [0, 0];
          for (let rep = 0; rep < reps; rep++) {
            const random = stream(rep, `ratio/${groups}/${n}/${rate}/${ratio}`);
            const shares = Array.from({ length: groups }, (_, g): GroupShare => {
              const own = g === 0 ? rate * ratio : rate;
              const share =
                random
                  .derive(g)
                  .uniform(n)
                  .filter((u) => u < own).length / n;
              return {
                level: String(g),
                interval: wilsonInterval(share, n, LEVEL),
                simultaneous: wilsonInterval(share, n, all),
              };
            });
            const found = smallestRatio(shares);
            if (found) {
              told += 1;
              hit += Number(found.interval.low <= ratio && ratio <= found.interval.high);
            }
          }
          rows.push({ groups, n, rate, ratio, coverage: hit / told, undefined: reps - told });
        }
      }
    }
  }
  return rows;
}
