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

/**
 * Runs the alternatives in turn, `rounds` times; milliseconds by alternative. Each rests first, and runs once unmeasured:
 * what is measured is its steady state, not what the other left in the caches. Runs of many seconds may go without
 * (`warm: false`).
 */
export async function interleaved(
  rounds: number,
  alternatives: Record<string, () => Promise<number>>,
  { warm = true }: { warm?: boolean } = {},
): Promise<Record<string, number[]>> {
  const names = Object.keys(alternatives);
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    // The order turns, so that no alternative always follows the same one.
    for (const offset of names.keys()) {
      const name = names[(offset + round) % names.length]!;
      await rest();
      if (warm) {
        await alternatives[name]!();
      }
      times[name]!.push(await alternatives[name]!());
    }
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
