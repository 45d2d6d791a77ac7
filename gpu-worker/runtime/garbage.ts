/**
 * Array buffers that nothing holds are given back when the collector runs, and it looks at the heap, in which they are small:
 * tens to hundreds of megabytes wait. Whoever makes many large arrays, one after another, says so here.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { type: 'minor' | 'major' }) => void;
/** What may wait: a collection of the young takes a millisecond. */
const WAITING = 16 * 2 ** 20;

let collect: Collect | null = null;
let waiting = 0;

function collected(type: 'minor' | 'major'): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
  }
  collect({ type });
  waiting = 0;
}

/** So many bytes were made that will soon be let go of. */
export function passing(bytes: number): void {
  waiting += bytes;
  if (waiting > WAITING) {
    collected('minor');
  }
}

/** All that nothing holds any more is given back: takes tens of milliseconds. */
export const giveBack = (): void => collected('major');
