/** What a computing process prints, as lines of the worker's own log: text of a computation can forge none. */
import type { Readable } from 'node:stream';

/** Characters of one line, and lines a minute: what is beyond is left out. */
const LONGEST = 2000;
const LINES_A_MINUTE = 300;

/** @param take one printed line, cut to its bounds */
export function followOutput(stream: Readable, take: (text: string) => void): void {
  let rest = '';
  let lines = 0;
  let since = 0;
  const give = (text: string): void => {
    const now = performance.now();
    if (now - since > 60_000) {
      since = now;
      lines = 0;
    }
    lines += 1;
    if (lines <= LINES_A_MINUTE && text.trim() !== '') {
      take(text.slice(0, LONGEST));
    } else if (lines === LINES_A_MINUTE + 1) {
      take('more was printed within a minute than is kept');
    }
  };
  stream.setEncoding('utf8');
  stream.on('error', () => {});
  stream.on('data', (chunk: string) => {
    const texts = (rest + chunk).split('\n');
    rest = texts.pop() ?? '';
    texts.forEach(give);
    if (rest.length > LONGEST) {
      give(rest);
      rest = '';
    }
  });
  stream.on('end', () => rest && give(rest));
}
