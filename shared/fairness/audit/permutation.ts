/** Permutation tests between two groups: how often exchanging group membership at random gives a gap as large. */
import type { RandomStream } from '../../math/random.ts';
import type { AuditLayout, PairOrder } from './layout.ts';
import type { Task } from './statistics.ts';

type PermutationTest = { metric: string; threshold?: number; p: number };

/**
 * p = (1 + draws with a gap at least as large) / (1 + draws), of KS, W1 and the absolute differences of mean, variance,
 * error and, at every threshold, selection rate and accuracy. All are read off one sorted order of the pair's rows.
 */
export function permutationTests(
  { counts, predictions, labels, thresholds }: AuditLayout,
  { a, b, row, side, gap }: PairOrder,
  task: Task,
  permutations: number,
  random: RandomStream,
): PermutationTest[] {
  const size = row.length;
  const flip = counts[b]! > counts[a]!;
  // The smaller group is the one that is drawn.
  const [few, many] = flip ? [counts[a]!, counts[b]!] : [counts[b]!, counts[a]!];
  let centre = 0;
  for (const i of row) {
    centre += predictions[i]! / size;
  }
  const value = Float64Array.from(row, (i) => predictions[i]! - centre);
  const error = labels && Float64Array.from(row, (i) => (predictions[i]! - labels[i]!) ** 2);
  const cuts = thresholds.map((t) => row.reduce((below, i) => below + Number(predictions[i]! < t), 0));
  const right =
    labels && task === 'classification'
      ? thresholds.map((t) => Uint8Array.from(row, (i) => Number(predictions[i]! >= t === (labels[i] === 1))))
      : [];
  const sum = (x: ArrayLike<number>, from = 0): number => {
    let total = 0;
    for (let j = from; j < x.length; j++) {
      total += x[j]!;
    }
    return total;
  };
  const totals = { value: sum(value), square: value.reduce((s, v) => s + v * v, 0), error: error ? sum(error) : 0 };
  const rightTotals = right.map((r) => sum(r));

  const names: { metric: string; threshold?: number }[] = [
    { metric: 'ks' },
    { metric: 'w1' },
    { metric: 'mean' },
    { metric: 'variance' },
  ];
  if (error) {
    names.push({ metric: 'mse' });
  }
  for (const threshold of thresholds) {
    names.push({ metric: 'selection_rate', threshold });
    if (right.length) {
      names.push({ metric: 'accuracy', threshold });
    }
  }
  const gaps = (drawn: Uint8Array, out: Float64Array): void => {
    const coefficient = [-1 / many, 1 / few];
    let [difference, ks, w1, first, second] = [0, 0, 0, 0, 0];
    for (let j = 0; j < size; j++) {
      const mine = drawn[j]!;
      difference += coefficient[mine]!;
      if (mine === 1) {
        first += value[j]!;
        second += value[j]! * value[j]!;
      }
      const step = gap[j]!;
      if (step === 0) {
        continue;
      }
      const distance = difference < 0 ? -difference : difference;
      if (distance > ks) {
        ks = distance;
      }
      w1 += distance * step;
    }
    const [restFirst, restSecond] = [totals.value - first, totals.square - second];
    let at = 0;
    out[at++] = ks;
    out[at++] = w1;
    out[at++] = Math.abs(first / few - restFirst / many);
    out[at++] = Math.abs((second - first ** 2 / few) / (few - 1) - (restSecond - restFirst ** 2 / many) / (many - 1));
    const split = (x: ArrayLike<number>, total: number): number => {
      let own = 0;
      for (let j = 0; j < size; j++) {
        own += drawn[j]! * x[j]!;
      }
      return Math.abs(own / few - (total - own) / many);
    };
    if (error) {
      out[at++] = split(error, totals.error);
    }
    for (let t = 0; t < thresholds.length; t++) {
      let above = 0;
      for (let j = cuts[t]!; j < size; j++) {
        above += drawn[j]!;
      }
      out[at++] = Math.abs(above / few - (size - cuts[t]! - above) / many);
      if (right.length) {
        out[at++] = split(right[t]!, rightTotals[t]!);
      }
    }
  };

  const observed = new Float64Array(names.length);
  gaps(
    Uint8Array.from(side, (s) => (flip ? 1 - s : s)),
    observed,
  );
  const order = Uint32Array.from({ length: size }, (_, j) => j);
  const drawn = new Uint8Array(size);
  const words = new Uint32Array(few);
  const out = new Float64Array(names.length);
  const reached = new Float64Array(names.length);
  for (let draw = 0; draw < permutations; draw++) {
    random.fillWords(words, draw * few);
    drawn.fill(0);
    for (let j = 0; j < few; j++) {
      const k = j + Math.floor((words[j]! * (size - j)) / 4294967296);
      const chosen = order[k]!;
      order[k] = order[j]!;
      order[j] = chosen;
      drawn[chosen] = 1;
    }
    gaps(drawn, out);
    // Rounding must not hide a tie: sums over other rows of the same values differ in their last bits.
    for (let k = 0; k < out.length; k++) {
      if (out[k]! >= observed[k]! * (1 - 1e-12)) {
        reached[k]! += 1;
      }
    }
  }
  return names.map((name, k) => ({ ...name, p: (1 + reached[k]!) / (1 + permutations) }));
}

/** Holm's adjustment: p-values that hold for all tests together. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((i, j) => p[i]! - p[j]!);
  const out = new Array<number>(p.length);
  let running = 0;
  order.forEach((i, rank) => {
    running = Math.max(running, Math.min(1, (p.length - rank) * p[i]!));
    out[i] = running;
  });
  return out;
}
