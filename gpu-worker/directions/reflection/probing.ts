/** Reflection-inducing probing: does a model reflect where another one, whose reasoning it continues, did? */
import { stream } from '../../../shared/math/random.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { tokenSetProbability } from '../../lm/index.ts';
import { lastLogits } from '../rows.ts';
import { answersOf, type Decoding } from './answers.ts';
import { firstTrigger, type Text } from './positions.ts';

/** Tokens of the continuation in which a trigger counts: the next one, so many, or any. */
export type Window = number | 'anywhere';

type Probing = {
  /** Share of continuations that hold a trigger within the window. */
  hard: number;
  /** Mean probability of a trigger as the next token. */
  soft: number;
  /** Prefixes that were continued. */
  prefixes: number;
};
export const PREFIXES = ['before_reflection', 'random_end', 'not_followed', 'none'] as const;

/**
 * Each text up to its first trigger, and three controls for it: the same text cut at a random sentence end, at one that no
 * reflection follows, and not begun at all. Texts without a trigger are left out; `prefixes` is the denominator.
 */
export function probingPrefixes(
  texts: readonly Text[],
  triggers: ReadonlySet<number>,
  surface: number,
  seed: number,
): Record<(typeof PREFIXES)[number], number[][]> {
  const random = stream(seed, 'reflection/prefixes');
  const found: Record<(typeof PREFIXES)[number], number[][]> = {
    before_reflection: [],
    random_end: [],
    not_followed: [],
    none: [],
  };
  for (const [i, text] of texts.entries()) {
    const { ids, from } = text;
    const at = firstTrigger(text, triggers);
    const ends = Array.from(ids.keys()).filter((j) => j >= from && ids[j] === surface && j + 1 < ids.length);
    if (at < 0) {
      const quiet = ends.filter((j) => !triggers.has(ids[j + 1]!));
      if (quiet.length > 0) {
        found.not_followed.push(ids.slice(0, quiet[random.derive(i).integers(1, quiet.length)[0]!]! + 1));
      }
      continue;
    }
    found.before_reflection.push(ids.slice(0, at));
    found.none.push(ids.slice(0, from));
    if (ends.length > 0) {
      found.random_end.push(ids.slice(0, ends[random.derive(i).integers(1, ends.length)[0]!]! + 1));
    }
  }
  return found;
}

export async function probe(
  model: LanguageModel,
  prefixes: readonly number[][],
  triggers: ReadonlySet<number>,
  window: Window,
  decoding: Decoding,
): Promise<Probing | null> {
  const room = prefixes.filter(({ length }) => length < model.architecture.context);
  if (room.length === 0) {
    return null;
  }
  const logits = await lastLogits(
    model,
    room.map((ids) => ({ ids })),
  );
  const next = tokenSetProbability(logits, model.architecture.vocabulary, [...triggers]);
  const longest = window === 'anywhere' ? decoding.maxTokens : window;
  const answers = await answersOf(model, room, { ...decoding, maxTokens: longest });
  const hits = answers.filter(({ tokens }) => tokens.some((token) => triggers.has(token))).length;
  return {
    hard: hits / room.length,
    soft: next.reduce((sum, p) => sum + p, 0) / room.length,
    prefixes: room.length,
  };
}
