/** Simulated people whose truth is known, and how often the audit's intervals hold it. */
import { type Difference, largestAbsolute } from '../../../shared/fairness/audit/extremes.ts';
import { grouping } from '../../../shared/fairness/audit/groups.ts';
import { preferenceIntervals } from '../../../shared/fairness/audit/preferences.ts';
import { audit } from '../../../shared/fairness/audit/report.ts';
import { wilsonInterval } from '../../../shared/math/proportions.ts';
import { stream } from '../../../shared/math/random.ts';
import { bootstrap, type Interval } from '../../../shared/math/resample.ts';
import { binomialCdf, normalCdf } from '../../../shared/math/special.ts';

const DRAWS = 300;
const LEVEL = 0.95;
const GAPS = [0, 0.25, 0.5, 1, 2, 3];
type Note = (text: string) => void;
const holds = ({ low, high }: Interval, truth: number): boolean => low <= truth && truth <= high;

/** Where groups lie for a gap of 1: one apart from the others, or evenly spread. */
const LAYOUTS: Record<string, (g: number, groups: number) => number> = {
  apart: (g) => Number(g === 0),
  even: (g, groups) => g / (groups - 1),
};

/** Signed mean differences of all pairs under the audit's bootstrap, for standard normal scores. */
function meanDifferences(groups: number, n: number, seed: number): Difference[] {
  const random = stream(seed, `coverage/${groups}/${n}`);
  const each = Math.floor(n / groups);
  const scores = random.derive('scores').normal(each * groups);
  const pairs = Array.from({ length: groups }, (_, a) =>
    Array.from({ length: groups - a - 1 }, (_, b) => [a, a + b + 1] as const),
  ).flat();
  const means = new Float64Array(groups);
  const { samples, intervals } = bootstrap({
    strata: new Array<number>(groups).fill(each),
    size: pairs.length,
    draws: DRAWS,
    level: LEVEL,
    random,
    evaluate(weights, out) {
      for (let g = 0; g < groups; g++) {
        let [sum, total] = [0, 0];
        for (let i = g * each; i < (g + 1) * each; i++) {
          sum += weights[i]! * scores[i]!;
          total += weights[i]!;
        }
        means[g] = sum / total;
      }
      for (const [p, [a, b]] of pairs.entries()) {
        out[p] = means[a]! - means[b]!;
      }
    },
  });
  return intervals.map((interval, p) => ({ interval, sample: samples[p]!, rows: each }));
}

/** The largest gap of means. A shift of a group shifts its mean in every draw, so one bootstrap serves every gap. */
export function gapCoverage(reps: number, note: Note) {
  const rows: { groups: number; n: number; layout: string; gap: number; coverage: number; width: number }[] = [];
  for (const groups of [2, 3, 6]) {
    for (const n of [200, 2000]) {
      const unit = Math.sqrt(2 / Math.floor(n / groups));
      const layouts = Object.keys(LAYOUTS).filter((layout) => groups > 2 || layout === 'apart');
      const cells = layouts.flatMap((layout) => GAPS.map((gap) => ({ layout, gap, hit: 0, width: 0 })));
      let signed = 0;
      for (let rep = 0; rep < reps; rep++) {
        const plain = meanDifferences(groups, n, rep);
        signed += plain.reduce((sum, d) => sum + d.interval.high - d.interval.low, 0) / plain.length;
        for (const cell of cells) {
          const place = (g: number): number => cell.gap * unit * LAYOUTS[cell.layout]!(g, groups);
          let p = 0;
          const moved: Difference[] = [];
          for (let a = 0; a < groups; a++) {
            for (let b = a + 1; b < groups; b++, p++) {
              const { interval, sample, rows: smaller } = plain[p]!;
              const by = place(a) - place(b);
              const { estimate, low, high, error } = interval;
              moved.push({
                interval: { estimate: estimate + by, low: low + by, high: high + by, error },
                sample: sample.map((value) => value + by),
                rows: smaller,
              });
            }
          }
          const found = largestAbsolute(moved, LEVEL);
          cell.hit += Number(holds(found, cell.gap * unit));
          cell.width += found.high - found.low;
        }
      }
      for (const { layout, gap, hit, width } of cells) {
        rows.push({ groups, n, layout, gap, coverage: hit / reps, width: width / signed });
      }
      note(`gaps of ${groups} groups, ${n} rows`);
    }
  }
  return rows;
}

/** Exact coverage of a rate's interval. */
export function rateCoverage() {
  return [30, 50, 100, 500].map((n) => {
    let [least, at, sum] = [1, 0, 0];
    const rates = Array.from({ length: 193 }, (_, i) => 0.02 + i * 0.005);
    const intervals = Array.from({ length: n + 1 }, (_, x) => wilsonInterval(x / n, n, LEVEL));
    for (const rate of rates) {
      let coverage = 0;
      for (let x = 0; x <= n; x++) {
        if (holds(intervals[x]!, rate)) {
          coverage += binomialCdf(x, n, rate) - binomialCdf(x - 1, n, rate);
        }
      }
      sum += coverage / rates.length;
      if (coverage < least) {
        [least, at] = [coverage, rate];
      }
    }
    return { n, least, at: Number(at.toFixed(3)), mean: sum };
  });
}

/** Envy of one learned group among K heads. */
export function envyCoverage(reps: number, note: Note) {
  const rows: { groups: number; n: number; truth: string; coverage: number; width: number }[] = [];
  const rate = 0.3;
  for (const groups of [2, 3, 5]) {
    for (const n of [200, 2000]) {
      for (const better of [0, 2]) {
        const gain = better * Math.sqrt((2 * rate * (1 - rate)) / n);
        let [hit, width, signed] = [0, 0, 0];
        for (let rep = 0; rep < reps; rep++) {
          const random = stream(rep, `envy/${groups}/${n}/${better}`);
          const losses = Array.from({ length: groups + 1 }, (_, j) =>
            random
              .derive(j)
              .uniform(n)
              .map((u) => Number(u < (j === 0 ? rate - gain : rate))),
          );
          const [own] = preferenceIntervals(losses, new Uint8Array(n), { draws: DRAWS, level: LEVEL, seed: rep });
          const { envy, rationality } = own!;
          hit += Number(holds(envy!, gain));
          width += envy!.high - envy!.low;
          signed += rationality.high - rationality.low;
        }
        const truth = better === 0 ? 'none' : `${better} standard errors`;
        rows.push({ groups, n, truth, coverage: hit / reps, width: width / signed });
      }
      note(`envy of ${groups} heads, ${n} rows`);
    }
  }
  return rows;
}

/** Largest KS and W1 distance, by whole audits; a quarter of the tables where the groups differ. */
export function distanceCoverage(reps: number, note: Note) {
  const rows: { groups: number; n: number; shift: number; tables: number; ks: number; w1: number }[] = [];
  for (const groups of [2, 3, 6]) {
    for (const n of [200, 2000]) {
      for (const shift of [0, 0.5]) {
        const labels = grouping(
          'g',
          Array.from({ length: n }, (_, i) => i % groups),
        );
        let [ks, w1] = [0, 0];
        const tables = shift > 0 ? Math.ceil(reps / 4) : reps;
        for (let rep = 0; rep < tables; rep++) {
          const z = stream(rep, `distance/${groups}/${n}/${shift}`).normal(n);
          const predictions = z.map((value, i) => value + (i % groups === 0 ? shift : 0));
          const report = audit(
            { predictions, groups: [labels] },
            { draws: DRAWS, permutations: 1, seed: rep, level: LEVEL },
          );
          const of = (metric: string): Interval => {
            const found = report.attributes[0]!.overall.find((m) => m.metric === metric)!;
            return { estimate: found.estimate!, low: found.low!, high: found.high!, error: 0 };
          };
          ks += Number(holds(of('ks'), 2 * normalCdf(shift / 2) - 1));
          w1 += Number(holds(of('w1'), shift));
        }
        rows.push({ groups, n, shift, tables, ks: ks / tables, w1: w1 / tables });
      }
      note(`distances of ${groups} groups, ${n} rows`);
    }
  }
  return rows;
}
