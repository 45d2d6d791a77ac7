/**
 * A line between a worker and its edge that can be in trouble: requests are refused, answered with 500, or reach the edge
 * while their answers get lost or are cut in the middle. It hands on what it is given, host included.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** `hang`: neither passed on nor answered, until the line is closed. */
type Trouble = 'pass' | 'refuse' | 'lost' | 'cut' | '500' | 'hang';
export type Asked = { method: string; path: string };

export class TroubledLine {
  readonly #server: Server;
  readonly #target: () => number;
  /** What becomes of the next request of this kind. */
  trouble: (asked: Asked) => Trouble = () => 'pass';
  /** Every request so far, with what became of it. */
  readonly seen: (Asked & { trouble: Trouble })[] = [];

  /** @param target the edge's port */
  constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#handle(incoming, outgoing));
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Requests whose path ends so. */
  count(end: string): number {
    return this.seen.filter(({ path }) => path.endsWith(end)).length;
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const asked = { method: incoming.method ?? '', path: (incoming.url ?? '').split('?')[0] ?? '' };
    const trouble = this.trouble(asked);
    this.seen.push({ ...asked, trouble });
    incoming.on('error', () => {});
    if (trouble === 'hang') {
      incoming.resume();
      return;
    }
    if (trouble === 'refuse') {
      incoming.socket.destroy();
      return;
    }
    if (trouble === '500') {
      incoming.resume().on('end', () => outgoing.writeHead(500, { 'content-type': 'text/html' }).end('<h1>no</h1>'));
      return;
    }
    const { method, url: path, headers } = incoming;
    const onward = request(
      { host: '127.0.0.1', port: this.#target(), method, path, headers, setHost: false },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('error', () => incoming.socket.destroy());
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const body = Buffer.concat(parts);
          if (trouble === 'lost') {
            incoming.socket.destroy();
            return;
          }
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          if (trouble === 'cut' && body.length > 1) {
            outgoing.write(body.subarray(0, body.length >> 1), () => incoming.socket.destroy());
          } else {
            outgoing.end(body);
          }
        });
      },
    );
    onward.on('error', () => incoming.socket.destroy());
    incoming.pipe(onward);
  }
}
