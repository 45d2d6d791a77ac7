/** Messages over a pipe, a line of JSON each. What is no message is told apart, and never thrown at the reader's process. */
import type { Readable, Writable } from 'node:stream';

/** Longest line, in characters: a completion of thousands of artefacts and a thousand manifests fits. */
const LONGEST = 64 * 1024 * 1024;

type Heard = {
  message(message: unknown): void;
  /** The other side wrote something that is no message; nothing more is read. */
  broken(): void;
};

export function readFrames(stream: Readable, heard: Heard): void {
  const parts: string[] = [];
  let length = 0;
  let over = false;
  const give = (line: string): void => {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      fail();
      return;
    }
    heard.message(message);
  };
  const fail = (): void => {
    over = true;
    parts.length = 0;
    heard.broken();
  };
  stream.setEncoding('utf8');
  // a pipe whose other end was killed
  stream.on('error', () => {});
  stream.on('data', (chunk: string) => {
    for (let rest = chunk; !over && rest.length > 0; ) {
      const end = rest.indexOf('\n');
      const part = end < 0 ? rest : rest.slice(0, end);
      parts.push(part);
      length += part.length;
      rest = end < 0 ? '' : rest.slice(end + 1);
      if (length > LONGEST) {
        fail();
      } else if (end >= 0) {
        const line = parts.join('');
        parts.length = 0;
        length = 0;
        give(line);
      }
    }
  });
}

/** Resolves once the message has been handed on, or cannot be any more. */
export const writeFrame = (stream: Writable, message: unknown): Promise<void> =>
  new Promise((resolve) => {
    stream.write(`${JSON.stringify(message)}\n`, () => resolve());
  });
