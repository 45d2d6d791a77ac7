/** Parts of a result that grow with the levels and columns of a table: shown as far as a result can hold them, whole in a file. */
import type { JobContext } from '../handler.ts';
import { SHOWN_CHARACTERS } from './lines-file.ts';

/** The value with every list in it cut to its first entries. */
function cut<T>(value: T, entries: number): T {
  if (Array.isArray(value)) {
    return value.slice(0, entries).map((item) => cut(item, entries)) as T;
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, cut(of, entries)])) as T;
  }
  return value;
}

/**
 * The parts as they are where they fit into a result; else with as many first entries of every list as do, and the name of
 * the job's artefact, a JSON file, that holds them whole.
 */
export async function fittingParts<T extends Record<string, unknown>>(
  context: Pick<JobContext<unknown>, 'artefact'>,
  name: string,
  parts: T,
): Promise<{ shown: T; file: string | null }> {
  const whole = JSON.stringify(parts);
  if (whole.length <= SHOWN_CHARACTERS) {
    return { shown: parts, file: null };
  }
  await context.artefact(name, 'application/json', new TextEncoder().encode(whole));
  let [fits, beyond] = [0, whole.length];
  while (beyond - fits > 1) {
    const middle = Math.floor((fits + beyond) / 2);
    if (JSON.stringify(cut(parts, middle)).length <= SHOWN_CHARACTERS / 2) {
      fits = middle;
    } else {
      beyond = middle;
    }
  }
  return { shown: cut(parts, fits), file: name };
}
