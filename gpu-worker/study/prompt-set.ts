/** Sets of prompts and their splits: seeded, disjoint, and without leaks from what is learned from to what is tested on. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { RandomStream } from '../../shared/math/random.ts';

type Prompt = {
  text: string;
  /** Prompts of one group (a template, a document, a pair) stay on one side of every split. */
  group?: string | undefined;
  /** Every split holds the labels in the same shares, as nearly as whole groups allow. */
  label?: string | undefined;
};
/** Share of each split, by its name, in the order in which they are filled; together 1. */
export type Shares<Name extends string> = Readonly<Record<Name, number>>;

/** What two prompts have in common that differ in case, spaces and punctuation at their ends alone. */
export const promptKey = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/gu, ' ')
    .replace(/^[\p{P}\s]+|[\p{P}\s]+$/gu, '') || text;

/**
 * Rows split at random: those of one key stay together.
 * @param keys one per row
 * @param strata one per row, each split by itself; all rows alike where left out
 * @returns row numbers of each split, in random order
 */
export function splitRows<Name extends string>(
  keys: readonly string[],
  shares: Shares<Name>,
  random: RandomStream,
  strata?: readonly string[],
): Record<Name, number[]> {
  const names = Object.keys(shares) as Name[];
  const splits = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  const order = [...random.permutation(keys.length)];
  const members = new Map<string, number[]>();
  for (const row of order) {
    members.set(keys[row]!, [...(members.get(keys[row]!) ?? []), row]);
  }
  for (const stratum of new Set(strata ?? [''])) {
    const rows = order.filter((row) => (strata?.[row] ?? '') === stratum);
    let taken = 0;
    let share = 0;
    for (const name of names) {
      share += shares[name];
      const end = name === names.at(-1) ? rows.length : Math.round(share * rows.length);
      for (const row of rows) {
        if (taken >= end) {
          break;
        }
        const group = members.get(keys[row]!);
        if (!group) {
          continue;
        }
        members.delete(keys[row]!);
        splits[name].push(...group);
        taken += group.filter((other) => (strata?.[other] ?? '') === stratum).length;
      }
    }
  }
  return splits;
}

/**
 * A set of prompts split by shares: prompts of one group, and prompts with the same text (`promptKey`), lie in one split.
 * @throws SextantError `data_invalid` where a split would have no prompt of some label, or none at all
 */
export function splitPrompts<P extends Prompt, Name extends string>(
  prompts: readonly P[],
  shares: Shares<Name>,
  random: RandomStream,
): Record<Name, P[]> {
  const labels = prompts.map(({ label = '' }) => label);
  const splits = splitRows(linked(prompts), shares, random, labels);
  for (const name of Object.keys(shares) as Name[]) {
    for (const label of new Set(labels.length > 0 ? labels : [''])) {
      if (!splits[name].some((row) => labels[row] === label)) {
        const of = label === '' ? 'prompt' : `prompt labelled '${label}'`;
        throw new SextantError(
          'data_invalid',
          `the ${name} split would have no ${of}: of ${prompts.length} prompts too few are different; give more`,
        );
      }
    }
  }
  const chosen = Object.entries<number[]>(splits).map(([name, rows]) => [name, rows.map((row) => prompts[row]!)]);
  return Object.fromEntries(chosen) as Record<Name, P[]>;
}

/**
 * Checks splits that are given as such.
 * @param splits prompts by the name of their split, which the message points to
 * @throws SextantError `data_invalid` naming the first prompt that stands in two of them
 */
export function requireDisjoint(splits: Readonly<Record<string, readonly Prompt[]>>): void {
  const seen = new Map<string, { name: string; at: string }>();
  for (const [name, prompts] of Object.entries(splits)) {
    for (const [i, { text, group }] of prompts.entries()) {
      const traces = [`text ${promptKey(text)}`, ...(group === undefined ? [] : [`group ${group}`])];
      for (const trace of traces) {
        const other = seen.get(trace);
        if (other && other.name !== name) {
          const what = trace.startsWith('group') ? `is of the group of ${other.at}` : `is ${other.at} again`;
          throw new SextantError(
            'data_invalid',
            `${name}/${i} ${what}: what is tested on must not have been learned from; keep it in one of the two`,
          );
        }
        seen.set(trace, { name, at: `${name}/${i}` });
      }
    }
  }
}

/** One key for all prompts that are linked by a group or a text, directly or through others. */
function linked(prompts: readonly Prompt[]): string[] {
  const parent = prompts.map((_, i) => i);
  const rootOf = (i: number): number => {
    const up = parent[i] ?? i;
    return up === i ? i : rootOf(up);
  };
  const first = new Map<string, number>();
  for (const [i, { text, group }] of prompts.entries()) {
    for (const trace of [`text ${promptKey(text)}`, ...(group === undefined ? [] : [`group ${group}`])]) {
      const other = first.get(trace);
      if (other === undefined) {
        first.set(trace, i);
      } else {
        parent[rootOf(i)] = rootOf(other);
      }
    }
  }
  return prompts.map((_, i) => String(rootOf(i)));
}
