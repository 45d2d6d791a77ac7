/**
 * A sweep over points that are measured one by one. After a point the results so far are saved beside the work, now and
 * then, so that the next attempt, on any worker, measures only what is missing and gives the same results.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { canonicalJson, sha256Hex } from '../../shared/signing/digest.ts';
import { BackgroundSaves } from './background-saves.ts';
import type { Checkpoints, SavedState } from './checkpoints.ts';

type PointSweep<P, R> = {
  /** JSON values, in the order in which they are measured. */
  points: readonly P[];
  /** Digests of what the results depend on besides the points: an alias may mean other files on another worker. */
  of: Readonly<Record<string, string | null>>;
  /** Form of a result, which must survive JSON; what was saved is checked against it. */
  result: z.ZodType<R>;
  measure(point: P, index: number): Promise<R>;
  checkpoints: Checkpoints;
  /** Called after every point with the number of those done, and once at the start where some were done before. */
  progress?(done: number): void;
};

const RESULTS = 'results.json';
const stateSchema = z.strictObject({
  /** Digest of the points and of what they are measured on. */
  sweep: z.string(),
  done: z.number().int().nonnegative(),
});

/**
 * Measures every point, those excepted that an earlier attempt measured.
 * @returns the results in the order of the points, and how many of them were there already
 * @throws SextantError `unavailable`, `artefact_mismatch` where saved results cannot be fetched; whatever `measure` throws
 */
export async function sweepPoints<P, R>(options: PointSweep<P, R>): Promise<{ results: R[]; resumed: number }> {
  const { points, of, measure, checkpoints, progress } = options;
  const sweep = await sha256Hex(canonicalJson({ points, of }));
  const results = (await resumedResults(checkpoints.last, sweep, options)) ?? [];
  const resumed = results.length;
  if (resumed > 0) {
    progress?.(resumed);
  }
  const saves = new BackgroundSaves(checkpoints);
  for (const [i, point] of points.entries()) {
    if (i < resumed) {
      continue;
    }
    results.push(await measure(point, i));
    progress?.(i + 1);
    if (i + 1 < points.length && saves.due) {
      const content = new TextEncoder().encode(JSON.stringify(results));
      void saves.begin({ sweep, done: results.length }, [{ name: RESULTS, content }]);
    }
  }
  return { results, resumed };
}

/** Null where nothing was saved, or it was saved by another sweep. */
async function resumedResults<P, R>(
  last: SavedState | null,
  sweep: string,
  { points, result }: PointSweep<P, R>,
): Promise<R[] | null> {
  const state = stateSchema.safeParse(last?.state);
  if (!last || !state.success || state.data.sweep !== sweep) {
    return null;
  }
  const saved: unknown = JSON.parse(await readFile(await last.file(RESULTS), 'utf8'));
  const results = z.array(result).max(points.length).safeParse(saved);
  return results.success && results.data.length === state.data.done ? results.data : null;
}
