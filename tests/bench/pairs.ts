/** Interleaved measurement of alternatives, and what is said of it: medians with 95 % intervals. */
import { setTimeout } from 'node:timers/promises';

/** Before a measurement: threads of the side that ran before spin for some milliseconds, on the cores it is about. */
export const rest = (): Promise<void> => setTimeout(50);

export type Summary = { median: number; low: number; high: number };

/** Median and its distribution-free 95 % interval (order statistics of the binomial distribution). */
export function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const middle = n % 2 === 1 ? sorted[(n - 1) / 2]! : (sorted[n / 2 - 1]! + sorted[n / 2]!) / 2;
  const reach = Math.ceil(0.98 * Math.sqrt(n));
  const low = Math.max(0, Math.floor(n / 2) - reach);
  return { median: middle, low: sorted[low]!, high: sorted[n - 1 - low]! };
}

/** The median alone. */
export const median = (values: readonly number[]): number => summary(values).median;

/** Runs each alternative once per round, in turn, after one round to warm up; milliseconds by alternative. */
export async function interleaved(
  rounds: number,
  alternatives: Record<string, () => Promise<number>>,
): Promise<Record<string, number[]>> {
  const names = Object.keys(alternatives);
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++)
    // The order turns, so that no alternative always follows the same one.
    for (const offset of names.keys()) {
      const name = names[(offset + Math.max(round, 0)) % names.length]!;
      await rest();
      const ms = await alternatives[name]!();
      if (round >= 0) times[name]!.push(ms);
    }
  return times;
}

/** Ratios a/b round by round. */
export const ratios = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value / b[i]!);

export const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

/** `median [low, high]`. */
export const show = ({ median, low, high }: Summary, digits: number): string =>
  `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
