/** Steering by different directions of equal norm, each over a whole sweep of strengths: a frontier, not a single point. */

import { crossEntropy, type Intervention, type LanguageModel, nextTokenLogits, type TokenRows } from '../lm/index.ts';
import { steeredOutcome } from './steering.ts';

type FrontierPoint = {
  /** In units of the mean norm of the residual stream at the hook; the sign is the direction's own. */
  strength: number;
  /** Change of log(probability of the positive set / probability of the negative set), mean over prompts' averages. */
  effect: number;
  /** KL divergence of the steered from the plain next-token distribution on other texts, nats. */
  off_target_kl: number;
  /** Of other texts while steered. */
  perplexity: number;
};

type FrontierOptions<Name extends string> = {
  hook: string;
  /** Unit vectors by name. */
  directions: Readonly<Record<Name, Float32Array>>;
  residualNorm: number;
  strengths: readonly number[];
  /** Prompts whose next token the steering is about, and the two sets of tokens. */
  prompts: TokenRows;
  positive: readonly number[];
  negative: readonly number[];
  /** Texts that the steering should leave alone. */
  offTarget: readonly ArrayLike<number>[];
};

/** Smallest probability in a logarithm. */
const FLOOR = 1e-12;

/** Every direction at 0 and at plus and minus every strength, in ascending order. */
export async function steeringFrontier<Name extends string>(
  model: LanguageModel,
  options: FrontierOptions<Name>,
): Promise<Record<Name, FrontierPoint[]>> {
  const { hook, directions, residualNorm, strengths, prompts, positive, negative, offTarget } = options;
  const plain = await nextTokenLogits(model, prompts);
  const beside = await nextTokenLogits(model, offTarget);
  const signed = [...new Set([0, ...strengths, ...strengths.map((s) => -s)])].map((s) => s + 0).sort((a, b) => a - b);
  const odds = ([up, down]: readonly number[]) => Math.log(Math.max(up!, FLOOR)) - Math.log(Math.max(down!, FLOOR));
  const sets = [positive, negative];
  const start = odds((await steeredOutcome(model, prompts, [], sets, plain)).probabilities);
  const frontiers = {} as Record<Name, FrontierPoint[]>;
  for (const name of Object.keys(directions) as Name[]) {
    const vector = directions[name];
    frontiers[name] = [];
    for (const strength of signed) {
      const edits: Intervention[] =
        strength === 0 ? [] : [{ kind: 'add', hook, vector, strength: strength * residualNorm }];
      const { probabilities } = await steeredOutcome(model, prompts, edits, sets, plain);
      const other = await steeredOutcome(model, offTarget, edits, [], beside);
      const { perplexity } = await crossEntropy(model, offTarget, { interventions: edits });
      frontiers[name].push({ strength, effect: odds(probabilities) - start, off_target_kl: other.kl, perplexity });
    }
  }
  return frontiers;
}
