/** What a model loses on held-out text, and what the text itself allows. */
import { PlantedLanguage } from '../corpus/planted/language.ts';
import { type CrossEntropy, type WeightedSequence, weightedCrossEntropy } from '../evaluate.ts';
import type { LanguageModel } from '../inference/model.ts';

/** Tokens that go through the model at a time. */
const PASS_TOKENS = 2048;

/** @param length most tokens in a sequence */
export const heldOutLoss = (
  model: LanguageModel,
  held: readonly WeightedSequence[],
  length: number,
): Promise<CrossEntropy> => weightedCrossEntropy(model, held, { batch: Math.max(1, Math.floor(PASS_TOKENS / length)) });

/**
 * What the generated language of a seed knows of its own held-out text, nats per token: its entropy over documents of
 * `length` tokens, and what it would lose on the documents that `held` begins with.
 */
export function plantedLoss(
  seed: number,
  held: readonly WeightedSequence[],
  length: number,
): { entropy: number; ideal: number } {
  const language = new PlantedLanguage(seed);
  const documents = [...language.documents('held-out', held[0]?.ids.length ?? 0, held.length)];
  const ideal = documents.reduce((sum, document) => sum + language.surprisal(document), 0) / documents.length;
  return { entropy: language.entropyRate(length), ideal };
}
