/** The logit lens (nostalgebraist 2020): the stream after each layer through the model's last norm and unembedding. */
import type { Alternative } from '../../../shared/contracts/token-piece.ts';
import { type LanguageModel, likeliest, rowOf } from '../../lm/index.ts';
import { shownAlternatives } from './token-pieces.ts';

type LensRow = { document: number; position: number; token: number; layer: number; likeliest: Alternative[] };

/**
 * The `top` likeliest next tokens after each layer, at every position of each prompt.
 * @throws SextantError `not_finite`
 */
export async function logitLens(model: LanguageModel, prompts: readonly number[][], top: number): Promise<LensRow[]> {
  const { layers, vocabulary } = model.architecture;
  const streams = Array.from({ length: layers }, (_, layer) => `resid_post.${layer}`);
  const rows: LensRow[] = [];
  for (const [document, ids] of prompts.entries()) {
    const { taps } = await model.forward({ ids: [ids], taps: streams, logits: 'none' });
    for (const [layer, hook] of streams.entries()) {
      const stream = { kind: 'replace' as const, hook: streams.at(-1)!, values: taps[hook]!.data };
      const { logits } = await model.forward({ ids: [ids], interventions: [stream] });
      for (const [position, token] of ids.entries()) {
        const scores = rowOf(logits!.data, vocabulary, position);
        const largest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
        const normaliser = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
        const found = likeliest(scores, top).map((id) => ({ token: id, logProbability: scores[id]! - normaliser }));
        rows.push({ document, position, token, layer, likeliest: shownAlternatives(model, found) });
      }
    }
  }
  return rows;
}
