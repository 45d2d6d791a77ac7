/** The refusal direction of one model: all candidates at work, the choice among them, and random directions beside it. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { type Band, centralBand, randomUnits } from '../controls.ts';
import { norm } from '../vectors.ts';
import { type ScoredCandidate, scoreCandidates } from './candidate-scores.ts';
import { type Candidate, candidateDirections, type Source, streamsAt } from './candidates.ts';
import type { RefusalSets } from './prompts.ts';
import { meanOf } from './scores.ts';
import { requireSelected, type Selection, selectCandidate, type Thresholds } from './selection.ts';

export type FindOptions = {
  sets: RefusalSets;
  tokens: readonly number[];
  positions: readonly number[];
  thresholds: Thresholds;
  rule: 'thresholds' | 'lowest_bypass';
  randomDirections: number;
  seed: number;
  progress?: (candidates: number, of: number) => void;
};

/** A candidate with the harmless mean that it was taken from. */
export type Placed = ScoredCandidate & { harmless: Float64Array };
type Scored = { scored: Placed[]; selection: Selection<Placed> };
export type Bands = { bypass: Band; induce: Band };

export async function scoredDirections(
  model: LanguageModel,
  { sets, tokens, positions, thresholds, progress }: FindOptions,
): Promise<Scored> {
  const { harmful, harmless } = sets;
  const found = await candidateDirections(model, { harmful: harmful.train, harmless: harmless.train }, positions);
  const of = found.candidates.length;
  const scored = await scoreCandidates(model, found.candidates, {
    harmful: harmful.validation,
    harmless: harmless.validation,
    tokens,
    progress: (done) => progress?.(done, of),
  });
  const placed = scored.map((candidate, i) => ({ ...candidate, harmless: found.harmless[i]! }));
  return { scored: placed, selection: selectCandidate(placed, thresholds, model.architecture.layers) };
}

/** Random directions of the norm of a vector, ablated and added at its layer. */
export async function randomBands(
  model: LanguageModel,
  like: Candidate,
  { sets, tokens, randomDirections, seed }: FindOptions,
): Promise<Bands> {
  const size = norm(like.vector);
  const random = randomUnits(seed, 'refusal/random', randomDirections, model.architecture.width).map((unit) => ({
    position: like.position,
    layer: like.layer,
    vector: Float64Array.from(unit, (value) => size * value),
  }));
  const scored = await scoreCandidates(model, random, {
    harmful: sets.harmful.validation,
    harmless: sets.harmless.validation,
    tokens,
  });
  return {
    bypass: centralBand(scored.map(({ bypass }) => bypass)),
    induce: centralBand(scored.map(({ induce }) => induce)),
  };
}

export type Found = Scored & { chosen: Placed; random: Bands; claims: { bypass: boolean; induce: boolean } };

/**
 * @throws SextantError `data_invalid` where no candidate is left, or what is left does no more than random directions
 */
export async function findDirection(model: LanguageModel, options: FindOptions): Promise<Found> {
  const { thresholds, rule } = options;
  const found = await scoredDirections(model, options);
  const { scored, selection } = found;
  const chosen =
    rule === 'lowest_bypass' && selection.lowestBypass
      ? selection.lowestBypass
      : requireSelected(selection, scored, thresholds, model.architecture.layers);
  const random = await randomBands(model, chosen, options);
  const claims = { bypass: chosen.bypass < random.bypass.low, induce: chosen.induce > random.induce.high };
  if (!claims.bypass && !claims.induce) {
    throw new SextantError(
      'data_invalid',
      `/harmful: nothing found: the best candidate bypasses to ${chosen.bypass.toFixed(3)} and induces ${chosen.induce.toFixed(3)}, within what ${random.bypass.directions} random directions do`,
    );
  }
  return { ...found, chosen, random, claims };
}

/** Mean norm of the stream at a source, over the prompts that the direction was learned from. */
export async function residualNorm(
  model: LanguageModel,
  { sets }: Pick<FindOptions, 'sets'>,
  source: Source,
): Promise<number> {
  const { width } = model.architecture;
  const x = await streamsAt(model, [...sets.harmful.train, ...sets.harmless.train], source);
  return meanOf(Array.from({ length: x.length / width }, (_, row) => norm(x.subarray(row * width, (row + 1) * width))));
}
