/** States of a model at places of texts, at every layer. */
import type { LanguageModel } from '../../lm/index.ts';
import type { States } from './directions.ts';
import type { Place, Places, Text } from './positions.ts';

/** Texts of one pass. */
const PASS = 16;

export const layerHooks = (layers: number): string[] => [
  'resid_pre.0',
  ...Array.from({ length: layers }, (_, layer) => `resid_post.${layer}`),
];

async function statesAt(
  model: LanguageModel,
  texts: readonly Text[],
  places: readonly Place[],
  hooks: readonly string[],
): Promise<Map<string, Float64Array>> {
  const { width } = model.architecture;
  const found = new Map(hooks.map((hook) => [hook, new Float64Array(places.length * width)]));
  // A text's places are behind each other, and longer texts share a pass with texts of like length.
  const byText = new Map<number, number[]>();
  for (const [i, { text }] of places.entries()) {
    byText.set(text, [...(byText.get(text) ?? []), i]);
  }
  const order = [...byText.keys()].sort((a, b) => texts[a]!.ids.length - texts[b]!.ids.length);
  for (let from = 0; from < order.length; from += PASS) {
    const part = order.slice(from, from + PASS);
    const rows = part.map((text) => {
      const last = Math.max(...byText.get(text)!.map((i) => places[i]!.at));
      return texts[text]!.ids.slice(0, last + 1);
    });
    const seq = Math.max(...rows.map((row) => row.length));
    const wanted = part.flatMap((text, row) =>
      byText.get(text)!.map((i) => ({ i, at: row * seq + seq - rows[row]!.length + places[i]!.at })),
    );
    const { taps } = await model.forward({ ids: rows, taps: hooks, tapAt: wanted.map(({ at }) => at), logits: 'none' });
    for (const hook of hooks) {
      const { data } = taps[hook]!;
      for (const [row, { i }] of wanted.entries()) {
        found.get(hook)!.set(data.subarray(row * width, (row + 1) * width), i * width);
      }
    }
  }
  return found;
}

/** The states of both kinds of place, by hook. */
export async function placeStates(
  model: LanguageModel,
  texts: readonly Text[],
  { reflecting, other }: Pick<Places, 'reflecting' | 'other'>,
  hooks: readonly string[],
): Promise<Map<string, States>> {
  const { width } = model.architecture;
  const up = await statesAt(model, texts, reflecting, hooks);
  const down = await statesAt(model, texts, other, hooks);
  return new Map(hooks.map((hook) => [hook, { reflecting: up.get(hook)!, other: down.get(hook)!, width }]));
}
