/**
 * Calibration within groups: whether a score of 0.3 means that 3 in 10 have the outcome, in every group (Kleinberg,
 * Mullainathan and Raghavan 2017). Scores are binned by equal width on [0, 1], a bin without its lower edge.
 */
import { wilsonInterval } from '../../math/proportions.ts';
import { quantile } from '../../math/quantile.ts';
import type { RandomStream } from '../../math/random.ts';
import { bootstrap, type Interval } from '../../math/resample.ts';
import { type Distance, largestDistance } from './extremes.ts';
import type { AuditLayout } from './layout.ts';

/** One bin of a reliability plot; scores and shares are null in a bin without rows. */
export type ReliabilityBin = {
  from: number;
  to: number;
  count: number;
  mean_score: number | null;
  observed: number | null;
  low: number | null;
  high: number | null;
};
type GroupCalibration = {
  /** Expected calibration error: the rows' mean over bins of |mean score - share with the outcome|. */
  error: Interval;
  /** Mean score minus share with the outcome: calibration in the large. */
  bias: Interval;
  bins: ReliabilityBin[];
};

/** Whether these scores can be read as probabilities. */
export const areProbabilities = (scores: ArrayLike<number>): boolean => {
  for (let i = 0; i < scores.length; i++) {
    if (!(scores[i]! >= 0 && scores[i]! <= 1)) {
      return false;
    }
  }
  return true;
};

/** The bin of a score: the number of inner edges below it. */
const binOf = (score: number, edges: Float64Array): number => {
  let bin = 0;
  while (bin < edges.length && score > edges[bin]!) {
    bin += 1;
  }
  return bin;
};

/**
 * Calibration of every group of a layout with labels. The error's interval is that of a distance (`extremes.ts`): 0 is held
 * where the score is calibrated, though an estimate never is 0.
 */
export function calibrationByGroup(
  { counts, effective, start, predictions, labels, weights }: AuditLayout,
  { bins, draws, level, random }: { bins: number; draws: number; level: number; random: RandomStream },
): GroupCalibration[] {
  const edges = Float64Array.from({ length: bins - 1 }, (_, k) => (k + 1) * (1 / bins));
  const mass = (i: number): number => (weights ? weights[i]! : 1);
  return counts.map((count, g) => {
    const from = start[g]!;
    const bin = Uint8Array.from({ length: count }, (_, i) => binOf(predictions[from + i]!, edges));
    const excess = Float64Array.from(
      { length: count },
      (_, i) => mass(from + i) * (predictions[from + i]! - labels![from + i]!),
    );
    const own = Float64Array.from({ length: count }, (_, i) => mass(from + i));
    const sums = new Float64Array(bins);
    const observed = new Float64Array(bins);
    const total = own.reduce((sum, w) => sum + w, 0);
    for (let i = 0; i < count; i++) {
      observed[bin[i]!]! += excess[i]! / total;
    }
    const { samples, intervals } = bootstrap({
      strata: [count],
      size: 3,
      draws,
      level,
      random: random.derive(`calibration/${g}`),
      evaluate: (drawn, out) => {
        sums.fill(0);
        let all = 0;
        for (let i = 0; i < count; i++) {
          sums[bin[i]!]! += drawn[i]! * excess[i]!;
          all += drawn[i]! * own[i]!;
        }
        out.fill(0);
        for (let b = 0; b < bins; b++) {
          const share = sums[b]! / all;
          out[0]! += Math.abs(share);
          out[1]! += share;
          out[2]! += Math.abs(share - observed[b]!);
        }
      },
    });
    const [error, bias] = intervals as [Interval, Interval];
    const distance: Distance = {
      estimate: error.estimate,
      high: quantile(samples[0]!.toSorted(), 0.5 + level / 2),
      deviations: samples[2]!,
      scale: 1,
      error: error.error,
      rows: effective[g]!,
    };
    return {
      error: largestDistance([distance], level),
      bias,
      bins: reliability({
        bin,
        scores: predictions.subarray(from, from + count),
        labels: labels!.subarray(from, from + count),
        own,
        bins,
        level,
      }),
    };
  });
}

type Binned = {
  bin: Uint8Array;
  scores: Float64Array;
  labels: Float64Array;
  own: Float64Array;
  bins: number;
  level: number;
};

function reliability({ bin, scores, labels, own, bins, level }: Binned): ReliabilityBin[] {
  return Array.from({ length: bins }, (_, b): ReliabilityBin => {
    let [count, mass, square, score, positive] = [0, 0, 0, 0, 0];
    for (let i = 0; i < bin.length; i++) {
      if (bin[i] === b) {
        const w = own[i]!;
        count += 1;
        mass += w;
        square += w * w;
        score += w * scores[i]!;
        positive += w * labels[i]!;
      }
    }
    const edges = { from: b * (1 / bins), to: b + 1 === bins ? 1 : (b + 1) * (1 / bins), count };
    if (!(mass > 0)) {
      return { ...edges, mean_score: null, observed: null, low: null, high: null };
    }
    const { estimate, low, high } = wilsonInterval(positive / mass, mass ** 2 / square, level);
    return { ...edges, mean_score: score / mass, observed: estimate, low, high };
  });
}
