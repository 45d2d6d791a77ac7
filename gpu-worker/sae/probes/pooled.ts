/** Labelled texts as mean-pooled activations and codes. */
import { groups, type LanguageModel } from '../../lm/index.ts';
import type { Encoder } from '../codes/encoder.ts';
import { encodeActivations, type TrainedSae } from '../measures/evaluate.ts';

export type LabelledText = { ids: ArrayLike<number>; label: string; spurious: string | null };
/** Rows are texts: `x` [texts, inputs] and `z` [texts, width] are means over the tokens that are not special. */
export type PooledTexts = {
  inputs: number;
  width: number;
  x: Float64Array;
  z: Float64Array;
  labels: string[];
  spurious: (string | null)[];
};

/** Sequences per forward pass. */
const PASS = 16;

export async function poolTexts(
  model: LanguageModel,
  hook: string,
  sae: TrainedSae,
  texts: readonly LabelledText[],
  encoder: Encoder,
): Promise<PooledTexts> {
  const { inputs, width } = sae.parameters;
  const special = model.tokenizer?.special ?? new Set<number>();
  const x = new Float64Array(texts.length * inputs);
  const z = new Float64Array(texts.length * width);
  let done = 0;
  for await (const part of groups(texts, PASS)) {
    const { taps, seq } = await model.forward({ ids: part.map(({ ids }) => ids), taps: [hook], logits: 'none' });
    const values = taps[hook]!.data;
    const codes = await encodeActivations(sae, values, encoder);
    part.forEach(({ ids }, i) => {
      const used = [...Array(ids.length).keys()].filter((at) => !special.has(ids[at]!));
      for (const at of used) {
        const row = i * seq + seq - ids.length + at;
        for (let j = 0; j < inputs; j++) {
          x[(done + i) * inputs + j]! += values[row * inputs + j]! / used.length;
        }
        for (let entry = codes.starts[row]!; entry < codes.starts[row + 1]!; entry++) {
          z[(done + i) * width + codes.latents[entry]!]! += codes.values[entry]! / used.length;
        }
      }
    });
    done += part.length;
  }
  return {
    inputs,
    width,
    x,
    z,
    labels: texts.map(({ label }) => label),
    spurious: texts.map(({ spurious }) => spurious),
  };
}
