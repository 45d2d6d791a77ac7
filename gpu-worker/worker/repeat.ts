/** Repeating what failed in passing: a network that cut the line, a server that was away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassing } from './edge-calls.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/**
 * Works until it succeeds, fails for good or may go on no longer; then raises the last error. Pauses double, and are drawn
 * a little shorter or longer, so that many workers do not come back at once.
 * @param signal ends the work in hand and the pauses
 */
export async function repeatPassing<T>(
  work: () => Promise<T>,
  signal: AbortSignal | null,
  tries = Infinity,
): Promise<T> {
  for (let tried = 1, pause = FIRST_PAUSE_MS; ; tried += 1, pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || signal?.aborted || tried >= tries) {
        throw error;
      }
      await sleep(pause * (0.75 + Math.random() / 2), undefined, signal ? { signal } : {}).catch(() => {
        throw error;
      });
    }
  }
}
