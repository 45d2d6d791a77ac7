/** Group thresholds carried out: from a score and a group to a probability of acceptance, and by a seeded coin to a decision. */
import { stream } from '../../math/random.ts';
import { dataError } from '../data-error.ts';
import type { GroupRule } from './document.ts';

const above = (threshold: GroupRule['mix'][number]['above']): number =>
  threshold === 'nobody' ? Number.POSITIVE_INFINITY : threshold === 'everybody' ? Number.NEGATIVE_INFINITY : threshold;

/** Rounding that shares may carry. */
const ROUNDING = 1e-9;

/** Refuses a level named twice and shares that do not add up. Raises `data_invalid`. */
export function checkRules(rules: readonly GroupRule[]): void {
  const seen = new Set<string>();
  for (const [g, { level, mix }] of rules.entries()) {
    if (seen.has(level)) {
      throw dataError('weights_misfit', `/groups/${g}/level`, `the level "${level.slice(0, 60)}" is listed twice`);
    }
    seen.add(level);
    const total = mix.reduce((sum, { share }) => sum + share, 0);
    if (Math.abs(total - 1) > ROUNDING) {
      throw dataError('weights_misfit', `/groups/${g}/mix`, `the shares of the thresholds add up to ${total}, not 1`);
    }
  }
}

/** Probability that a rule accepts a score. */
export function acceptance({ ignore, accept_ignored, mix }: GroupRule, score: number): number {
  let accepted = 0;
  for (const { share, above: threshold } of mix) {
    accepted += score > above(threshold) ? share : 0;
  }
  return ignore * accept_ignored + (1 - ignore) * accepted;
}

/**
 * Decisions by one coin per row: accepted where a number drawn uniformly from [0, 1) is below the row's probability. The
 * coin is the row's own number in the stream `coins` of the seed or, with `ids`, the first number of a stream that the id
 * names: the same person then has the same coin in every table.
 */
export function decide(probabilities: Float64Array, seed: number, ids?: readonly string[]): Uint8Array {
  const n = probabilities.length;
  const coins = ids
    ? Float64Array.from(ids, (id) => stream(seed, `coin/${id}`).uniform(1)[0]!)
    : stream(seed, 'coins').uniform(n);
  return Uint8Array.from(probabilities, (p, i) => Number(coins[i]! < p));
}
