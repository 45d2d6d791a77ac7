/** Groups of an audit: attributes as group ids, intersections of attributes, and the size below which nothing is claimed. */
import { jsonPointer } from '../../contracts/problem.ts';
import { booleanText } from '../../formats/table.ts';
import { dataError } from '../data-error.ts';

/** One attribute's values as group ids into `levels`, which are in order of first appearance sorted by name. */
export type Grouping = { name: string; groupIds: Int32Array; levels: string[] };

/**
 * Numbers the groups of a column of labels (strings, numbers or booleans). Raises `data_invalid` for a missing (null, NaN) label; `pointer`
 * is where the request has the column.
 */
export function grouping(
  name: string,
  labels: readonly unknown[],
  pointer: string = jsonPointer(['groups', name]),
): Grouping {
  const text = labels.map((label, i) => {
    const missing = label === null || label === undefined || label === '' || Number.isNaN(label);
    if (missing) {
      throw dataError(
        'group_unknown',
        `${pointer}/${i}`,
        `row ${i} has no ${name}; drop it or give it a label of its own`,
      );
    }
    return booleanText(String(label));
  });
  const levels = [...new Set(text)].sort();
  const at = new Map(levels.map((level, i) => [level, i]));
  return { name, groupIds: Int32Array.from(text, (label) => at.get(label)!), levels };
}

/** The grouping by all given attributes at once, with only the combinations that occur. */
export function intersection(groupings: readonly Grouping[]): Grouping {
  const rows = groupings[0]?.groupIds.length ?? 0;
  const by = (write: (level: string) => string): string[] =>
    Array.from({ length: rows }, (_, i) => groupings.map((g) => write(g.levels[g.groupIds[i]!]!)).join(' & '));
  const [plain, quoted] = [by((level) => level), by((level) => JSON.stringify(level))];
  // Levels that hold the joint themselves would run two combinations into one.
  const clear = new Set(plain).size === new Set(quoted).size;
  return grouping(groupings.map((g) => g.name).join(' & '), clear ? plain : quoted, '/groups');
}

type EligibleGroups = {
  name: string;
  levels: string[];
  /** Rows of the eligible groups, group by group: positions in the caller's columns. */
  rows: Uint32Array;
  counts: number[];
  excluded: { level: string; count: number }[];
};

/** Groups of at least `minimum` rows. Raises `data_invalid` (group_count, group_too_small) where fewer than two are left. */
export function eligibleGroups({ name, groupIds, levels }: Grouping, minimum: number, most = 64): EligibleGroups {
  const pointer = jsonPointer(['groups', name]);
  const counts = new Array<number>(levels.length).fill(0);
  for (const code of groupIds) {
    counts[code]! += 1;
  }
  if (levels.length < 2) {
    throw dataError('group_count', pointer, `${name} has one group only; gaps are between at least two`);
  }
  const kept = levels.flatMap((_, g) => (counts[g]! >= minimum ? [g] : []));
  if (kept.length < 2) {
    throw dataError('group_too_small', pointer, `fewer than two groups of ${name} have the minimum of ${minimum} rows`);
  }
  if (kept.length > most) {
    throw dataError(
      'group_count',
      pointer,
      `${name} has ${kept.length} groups of enough rows; at most ${most} are compared`,
    );
  }
  const start = new Array<number>(levels.length).fill(-1);
  let total = 0;
  for (const g of kept) {
    start[g] = total;
    total += counts[g]!;
  }
  const rows = new Uint32Array(total);
  groupIds.forEach((g, i) => {
    if (start[g]! >= 0) {
      rows[start[g]!++] = i;
    }
  });
  const excluded = levels.flatMap((level, g) => (counts[g]! < minimum ? [{ level, count: counts[g]! }] : []));
  return { name, levels: kept.map((g) => levels[g]!), rows, counts: kept.map((g) => counts[g]!), excluded };
}
