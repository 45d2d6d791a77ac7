/** Places in a text just before a reflection, and places at the same surface token where none follows. */
import { SextantError } from '../../../shared/contracts/problem.ts';

export type Text = {
  ids: readonly number[];
  /** Where the answer begins. */
  from: number;
};
export type Place = { text: number; at: number };
export type Places = {
  /** The token that stands at every place. */
  surface: number;
  reflecting: Place[];
  other: Place[];
};

/** Index of the first trigger of the answer; -1 for none. */
export const firstTrigger = ({ ids, from }: Text, triggers: ReadonlySet<number>): number =>
  ids.findIndex((id, i) => i > from && triggers.has(id));

/**
 * @param lookAhead tokens behind a place of the second kind that hold no trigger
 * @throws SextantError `data_invalid` where no text holds a trigger, or one kind of place is missing
 */
export function matchedPlaces(texts: readonly Text[], triggers: ReadonlySet<number>, lookAhead: number): Places {
  const before = new Map<number, number>();
  const all: Place[] = [];
  for (const [text, { ids, from }] of texts.entries()) {
    for (let at = from; at + 1 < ids.length; at++) {
      if (triggers.has(ids[at + 1]!)) {
        all.push({ text, at });
        before.set(ids[at]!, (before.get(ids[at]!) ?? 0) + 1);
      }
    }
  }
  const [surface] = [...before].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0] ?? [];
  if (surface === undefined) {
    throw new SextantError(
      'data_invalid',
      `/triggers: none of the ${texts.length} answers holds a trigger: the model does not reflect here`,
    );
  }
  const reflecting = all.filter(({ text, at }) => texts[text]!.ids[at] === surface);
  const other: Place[] = [];
  for (const [text, { ids, from }] of texts.entries()) {
    for (let at = from; at + 1 < ids.length; at++) {
      const quiet = !ids.slice(at + 1, at + 1 + lookAhead).some((id) => triggers.has(id));
      if (ids[at] === surface && quiet) {
        other.push({ text, at });
      }
    }
  }
  if (reflecting.length < 2 || other.length < 2) {
    throw new SextantError(
      'data_invalid',
      `/problems: ${reflecting.length} places before a reflection and ${other.length} others at the same token: give more problems`,
    );
  }
  return { surface, reflecting, other };
}
