/** Lists of a result that may be longer than a result can be: the first stand in it, all of them in a file of JSON lines. */
import type { JobContext } from '../handler.ts';

/** Characters of JSON that a result spends on such a list; a whole result has at most 262,144. */
export const SHOWN_CHARACTERS = 230_000;

/**
 * How many of the first lines a result shows, and the name of the job's artefact that holds all of them; null where they
 * are shown all.
 */
export async function linesBeyond(
  context: Pick<JobContext<unknown>, 'artefact'>,
  name: string,
  lines: readonly unknown[],
): Promise<{ shown: number; file: string | null }> {
  const parts: string[] = [];
  let left = SHOWN_CHARACTERS;
  let shown = 0;
  for (const line of lines) {
    const text = JSON.stringify(line);
    parts.push(text, '\n');
    left -= text.length;
    shown += left >= 0 ? 1 : 0;
  }
  if (shown === lines.length) {
    return { shown, file: null };
  }
  await context.artefact(name, 'application/jsonl', new TextEncoder().encode(parts.join('')));
  return { shown, file: name };
}
