/** Permutation tests between two groups: how often exchanging group membership at random gives a gap as large. */
import type { RandomStream } from '../../math/random.ts';
import type { AuditLayout, PairOrder } from './layout.ts';
import type { Task } from './statistics.ts';

/** A column of a pair's rows times their weights, and its sum. */
type Column = { values: Float64Array; total: number };
type PermutationTest = { metric: string; threshold?: number; p: number };

/**
 * p = (1 + draws with a gap at least as large) / (1 + draws), of KS, W1 and the absolute differences of mean, variance,
 * error and, at every threshold, selection rate and accuracy. All are read off one sorted order of the pair's rows.
 */
export function permutationTests(
  { counts, predictions, labels, weights, thresholds }: AuditLayout,
  { a, b, row, side, gap }: PairOrder,
  task: Task,
  permutations: number,
  random: RandomStream,
): PermutationTest[] {
  const size = row.length;
  const flip = counts[b]! > counts[a]!;
  // The smaller group is the one that is drawn.
  const few = flip ? counts[a]! : counts[b]!;
  // A row keeps its weight in whichever group it is put: every column is of mass, or of mass times a value.
  const mass = Float64Array.from(row, (i) => (weights ? weights[i]! : 1));
  let centre = 0;
  for (const i of row) {
    centre += predictions[i]! / size;
  }
  const column = (of: (i: number) => number): Column => {
    const values = Float64Array.from(row, (i, j) => mass[j]! * of(i));
    return { values, total: values.reduce((s, x) => s + x, 0) };
  };
  const all = column(() => 1);
  const repeated = { values: mass.map((w) => w * w), total: mass.reduce((s, w) => s + w * w, 0) };
  const value = column((i) => predictions[i]! - centre);
  const square = column((i) => (predictions[i]! - centre) ** 2);
  const error = labels && column((i) => (predictions[i]! - labels[i]!) ** 2);
  const selected = thresholds.map((t) => column((i) => Number(predictions[i]! >= t)));
  const right =
    labels && task === 'classification'
      ? thresholds.map((t) => column((i) => Number(predictions[i]! >= t === (labels[i] === 1))))
      : [];

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
  /** Sum of a column over the drawn rows. */
  const over = (drawn: Uint32Array, { values }: Column): number => {
    let sum = 0;
    for (let j = 0; j < few; j++) {
      sum += values[drawn[j]!]!;
    }
    return sum;
  };
  const inside = new Uint8Array(size);
  const gaps = (drawn: Uint32Array, out: Float64Array): void => {
    const own = weights ? over(drawn, all) : few;
    const rest = all.total - own;
    inside.fill(0);
    for (let j = 0; j < few; j++) {
      inside[drawn[j]!] = 1;
    }
    const coefficient = [-1 / rest, 1 / own];
    let [difference, ks, w1] = [0, 0, 0];
    for (let j = 0; j < size; j++) {
      difference += mass[j]! * coefficient[inside[j]!]!;
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
    const split = (x: Column): number => {
      const sum = over(drawn, x);
      return Math.abs(sum / own - (x.total - sum) / rest);
    };
    const [first, second] = [over(drawn, value), over(drawn, square)];
    const squares = weights ? over(drawn, repeated) : few;
    const variance = (sum: number, sumOfSquares: number, total: number, weightsSquared: number): number =>
      (sumOfSquares - sum ** 2 / total) / (total - weightsSquared / total);
    let at = 0;
    out[at++] = ks;
    out[at++] = w1;
    out[at++] = Math.abs(first / own - (value.total - first) / rest);
    out[at++] = Math.abs(
      variance(first, second, own, squares) -
        variance(value.total - first, square.total - second, rest, repeated.total - squares),
    );
    if (error) {
      out[at++] = split(error);
    }
    for (let t = 0; t < thresholds.length; t++) {
      out[at++] = split(selected[t]!);
      if (right.length) {
        out[at++] = split(right[t]!);
      }
    }
  };

  const observed = new Float64Array(names.length);
  const drawnSide = flip ? 0 : 1;
  gaps(
    Uint32Array.from({ length: size }, (_, j) => j).filter((j) => side[j] === drawnSide),
    observed,
  );
  const order = Uint32Array.from({ length: size }, (_, j) => j);
  const words = new Uint32Array(few);
  const out = new Float64Array(names.length);
  const reached = new Float64Array(names.length);
  for (let draw = 0; draw < permutations; draw++) {
    random.fillWords(words, draw * few);
    for (let j = 0; j < few; j++) {
      const k = j + Math.floor((words[j]! * (size - j)) / 4294967296);
      const chosen = order[k]!;
      order[k] = order[j]!;
      order[j] = chosen;
    }
    gaps(order, out);
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
