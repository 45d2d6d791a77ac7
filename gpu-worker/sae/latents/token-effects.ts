/** What a latent does to the next token: its decoder row through the final norm's weights and the head. */
import * as g from '../../graph/index.ts';
import { type LanguageModel, readWeight } from '../../lm/index.ts';
import { Session } from '../../runtime/index.ts';
import type { SaeParameters } from '../codes/parameters.ts';
import { transpose } from '../interchange/saelens.ts';
import type { TokenEffects } from './latents.ts';

/** Latents per pass, so that latents x vocabulary stays small. */
const CHUNK_ELEMENTS = 1 << 24;

/**
 * The tokens whose logits a unit of code raises and lowers most, by the direct path: W_U (gamma * D_i), with the final
 * norm's division left out, the same for all tokens. Null where the hook's width is not that of the residual stream.
 */
export async function tokenEffects(
  model: LanguageModel,
  { decoder, inputs, width }: SaeParameters,
  count = 8,
): Promise<TokenEffects | null> {
  const { folder, architecture, tokenizer } = model;
  const { vocabulary } = architecture;
  if (inputs !== architecture.width || !tokenizer) {
    return null;
  }
  const { head, finalNorm } = folder.weights;
  const gamma = readWeight(folder, finalNorm.weight.name);
  const stored = readWeight(folder, head.weight.name);
  const unembedding = head.layout === 'out_in' ? stored : transpose(stored, inputs, vocabulary);
  const k = Math.min(count, vocabulary);
  const rows = g.input('rows', ['latents', inputs]);
  const scaled = g.mul(rows, g.input('gamma', [inputs]));
  const logits = g.matmul(scaled, g.input('unembedding', [vocabulary, inputs]), { transB: true });
  const [up, down] = [g.topK(logits, k), g.topK(g.neg(logits), k)];
  const outputs = {
    up: up.values,
    down: down.values,
    raised: g.cast(up.positions, 'int32'),
    lowered: g.cast(down.positions, 'int32'),
  };
  const session = await Session.create(g.compile(outputs, { name: 'token effects' }), { spinning: false });
  const effects: TokenEffects = [];
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / vocabulary));
  const text = (token: number) => tokenizer.decode([token], { special: true });
  for (let first = 0; first < width; first += step) {
    const last = Math.min(width, first + step);
    const data = decoder.slice(first * inputs, last * inputs);
    const out = await session.run({ rows: { shape: [last - first, inputs], data }, gamma, unembedding });
    for (let i = 0; i < last - first; i++) {
      const list = (tokens: string, values: string, sign: number) =>
        Array.from({ length: k }, (_, j) => ({
          text: text(Number(out[tokens]!.data[i * k + j])),
          logit: Number((sign * Number(out[values]!.data[i * k + j])).toPrecision(6)),
        }));
      effects.push({ promotes: list('raised', 'up', 1), suppresses: list('lowered', 'down', -1) });
    }
  }
  await session.release();
  return effects;
}
