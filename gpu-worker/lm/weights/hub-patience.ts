/** How long a hub in trouble is asked again: for as long as something arrives, and a time of silence beyond. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SextantError } from '../../../shared/contracts/problem.ts';

/** Nothing has arrived for this long: the hub is given up. */
export const SILENCE_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Works until it succeeds or fails for good. What fails in passing is tried again, at the time that the hub named
 * (`Retry-After`), until nothing has arrived for `silence_ms`; then the last error is raised. `work` calls `arrived` with
 * everything that comes.
 */
export async function whileArriving<T>(work: (arrived: () => void) => Promise<T>, silence_ms: number): Promise<T> {
  let last = performance.now();
  for (let pause = FIRST_PAUSE_MS; ; ) {
    const before = last;
    try {
      return await work(() => {
        last = performance.now();
      });
    } catch (error) {
      const passing = !(error instanceof SextantError) || error.code === 'unavailable';
      const named = error instanceof SextantError ? error.retryAfterS : undefined;
      pause = last > before ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, 2 * pause);
      const wait = named === undefined ? pause : 1000 * named;
      if (!passing || isOwnDisk(error) || performance.now() + wait - last > silence_ms) {
        throw error;
      }
      await sleep(wait);
    }
  }
}

/** A full or broken disk here is not the hub's trouble. */
const isOwnDisk = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO'].includes(String((error as NodeJS.ErrnoException).code));
