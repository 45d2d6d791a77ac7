import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { Bell } from '../../../gpu-worker/worker/bell.ts';
import { EdgeClock } from '../../../gpu-worker/worker/clock.ts';
import { EdgeCalls } from '../../../gpu-worker/worker/edge-calls.ts';
import { newSigningKey } from '../../support/signing-key.ts';
import { until } from '../../support/until.ts';

/** A WebSocket server of text frames below 126 bytes. */
type Peer = { server: Server; sockets: Duplex[]; heard: string[]; opened: { url: string; authorization: string }[] };
async function listen(): Promise<Peer & { url: string }> {
  const peer: Peer = { server: createServer(), sockets: [], heard: [], opened: [] };
  peer.server.on('upgrade', (request, socket: Duplex) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    peer.opened.push({ url: request.url ?? '', authorization: request.headers.authorization ?? '' });
    peer.sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (frame: Buffer) => {
      if ((frame[0] ?? 0) % 16 === 1) {
        const length = (frame[1] ?? 0) & 127;
        const [mask, data] = [frame.subarray(2, 6), frame.subarray(6, 6 + length)];
        peer.heard.push(Buffer.from(data.map((byte, i) => byte ^ (mask[i % 4] ?? 0))).toString());
      }
    });
  });
  await new Promise<void>((resolve) => peer.server.listen(0, '127.0.0.1', resolve));
  return { ...peer, url: `http://127.0.0.1:${(peer.server.address() as AddressInfo).port}` };
}
const ring = (socket: Duplex | undefined, text = 'ring') =>
  socket?.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]));

let stop = new AbortController();
let peer: Peer | null = null;
afterEach(() => {
  stop.abort();
  for (const socket of peer?.sockets ?? []) {
    socket.destroy();
  }
  peer?.server.close();
});

async function started() {
  stop = new AbortController();
  const at = await listen();
  peer = at;
  const bell = new Bell(new EdgeCalls(at.url, await newSigningKey('wkr_a'), new EdgeClock()), 'interactive');
  const running = bell.run(stop.signal);
  await until(() => at.sockets.length === 1, 'the socket');
  return { bell, at, running };
}

describe('the bell', () => {
  it('is opened under a signature, rings once at its opening, and then when the edge says so', async () => {
    const { bell, at } = await started();
    expect(at.opened[0]?.url).toBe('/internal/workers/bell/interactive');
    expect(at.opened[0]?.authorization).toMatch(/^Sextant ey/);
    expect(await bell.heard(10_000, stop.signal)).toBe(1);
    expect(await bell.heard(30, stop.signal)).toBe(0);
    ring(at.sockets[0], 'something else');
    expect(await bell.heard(50, stop.signal)).toBe(0);
    const heard = bell.heard(10_000, stop.signal);
    ring(at.sockets[0]);
    expect(await heard).toBe(1);
    // what rings while nobody listens is not lost
    ring(at.sockets[0]);
    await until(async () => (await bell.heard(0, stop.signal)) > 0, 'the ring');
  });

  it('carries announcements while it is there, and is replaced when it breaks', async () => {
    const { bell, at, running } = await started();
    await until(() => bell.announce({ job: null, lane: 'interactive' }), 'the socket to be open');
    await until(() => at.heard.length > 0, 'the announcement');
    expect(JSON.parse(at.heard[0] ?? '')).toEqual({ job: null, lane: 'interactive' });
    await bell.heard(0, stop.signal);
    at.sockets[0]?.destroy();
    await until(() => !bell.announce({ job: null }), 'the break to be noticed');
    await until(() => at.sockets.length === 2, 'another socket');
    // somebody may have rung meanwhile: it is time to look
    expect(await bell.heard(10_000, stop.signal)).toBeGreaterThan(0);
    const waiting = bell.heard(60_000, stop.signal);
    stop.abort();
    expect(await waiting).toBe(0);
    await running;
  });
});
