/** Every candidate at work in the model: what its ablation and its addition do to refusal, and what ablation costs. */
import type { Intervention, LanguageModel } from '../../lm/index.ts';
import { unitVector } from '../difference-in-means.ts';
import { lastLogits, perRow, type Row } from '../rows.ts';
import type { Candidate } from './candidates.ts';
import { ablation } from './interventions.ts';
import { meanOf, refusalScores, rowDivergences } from './scores.ts';

export type ScoredCandidate = Candidate & {
  /** The difference is zero or the scores are no numbers: nothing below was measured. */
  empty: boolean;
  /** Mean refusal score of harmful prompts with the candidate ablated: low is good. */
  bypass: number;
  /** Mean refusal score of harmless prompts with the raw candidate added to the stream that enters its block. */
  induce: number;
  /** Mean divergence of the plain from the ablated next-token distribution on harmless prompts, nats. */
  kl: number;
};

type Scoring = {
  harmful: readonly Row[];
  harmless: readonly Row[];
  tokens: readonly number[];
  /** Called with the number of candidates that are done. */
  progress?: (done: number) => void;
};

type Pair = Row & { vector: Float32Array; layer: number };

/** Candidates whose rows go through the model together. */
const TOGETHER = 8;

export async function scoreCandidates(
  model: LanguageModel,
  candidates: readonly Candidate[],
  { harmful, harmless, tokens, progress = () => {} }: Scoring,
): Promise<ScoredCandidate[]> {
  const { layers, vocabulary } = model.architecture;
  const plain = await lastLogits(model, harmless);
  const scored = candidates.map(
    (candidate): ScoredCandidate => ({ ...candidate, empty: true, bypass: 0, induce: 0, kl: 0 }),
  );
  const full = scored.filter(({ vector }) => vector.some((value) => value !== 0) && vector.every(Number.isFinite));
  const removed = (batch: readonly Pair[]) => ablation(layers, { unit: perRow(batch.map(({ vector }) => vector)) });
  for (let from = 0; from < full.length; from += TOGETHER) {
    const part = full.slice(from, from + TOGETHER);
    const pairs = (prompts: readonly Row[], vectorOf: (candidate: Candidate) => Float32Array): Pair[] =>
      part.flatMap((candidate) => {
        const vector = vectorOf(candidate);
        return prompts.map(({ ids }) => ({ ids, vector, layer: candidate.layer }));
      });
    const unit = ({ vector }: Candidate) => unitVector(vector);
    const bypassed = await lastLogits(model, pairs(harmful, unit), removed);
    const spared = await lastLogits(model, pairs(harmless, unit), removed);
    const induced = await lastLogits(
      model,
      pairs(harmless, ({ vector }) => Float32Array.from(vector)),
      (batch) => addedPerRow(layers, batch),
    );
    for (const [c, candidate] of part.entries()) {
      const own = (logits: Float32Array, prompts: number) =>
        logits.subarray(c * prompts * vocabulary, (c + 1) * prompts * vocabulary);
      candidate.bypass = meanOf(refusalScores(own(bypassed, harmful.length), vocabulary, tokens));
      candidate.induce = meanOf(refusalScores(own(induced, harmless.length), vocabulary, tokens));
      candidate.kl = meanOf(rowDivergences(plain, own(spared, harmless.length), vocabulary));
      candidate.empty = ![candidate.bypass, candidate.induce, candidate.kl].every(Number.isFinite);
    }
    progress(from + part.length);
  }
  return scored;
}

/** Each row's raw vector added to the stream that enters the block of that row; one program serves all layers. */
function addedPerRow(layers: number, batch: readonly Pair[]): Intervention[] {
  const vector = perRow(batch.map((pair) => pair.vector));
  return Array.from({ length: layers }, (_, layer) => ({
    kind: 'add',
    hook: `resid_pre.${layer}`,
    vector,
    strength: batch.map((pair) => Number(pair.layer === layer)),
  }));
}
