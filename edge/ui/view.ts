/** What a view is given, and how views stay current. */
import type { Sextant } from '../client/index.ts';

export type Place = {
  client: Sextant;
  /** Aborted as soon as another view is shown. */
  signal: AbortSignal;
  /** Told of errors of what goes on after the view stands. */
  fail: (error: unknown) => void;
};
/** Raises what its calls raise; the page shows what to do. */
export type View = (place: Place, ...ids: string[]) => Promise<Node>;

const EVERY_MS = 3000;

/** Reads anew as long as the view is shown and seen; `show` is told of what was read. */
export async function keepCurrent<T>(
  { signal, fail }: Place,
  read: () => PromiseLike<T>,
  show: (value: T) => void,
): Promise<void> {
  try {
    for (;;) {
      await passing(EVERY_MS, signal);
      if (signal.aborted) {
        return;
      }
      if (document.visibilityState === 'visible') {
        show(await read());
      }
    }
  } catch (error) {
    if (!signal.aborted) {
      fail(error);
    }
  }
}

/** Waits so long, or until the signal is aborted. */
const passing = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = (): void => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
  });
