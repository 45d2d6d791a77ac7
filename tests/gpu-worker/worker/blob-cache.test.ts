import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchBlob } from '../../../gpu-worker/worker/blob-cache.ts';

const bytes = Buffer.from('the bytes that were announced');
const sha256 = createHash('sha256').update(bytes).digest('hex');
let served: Buffer;
let fetches: number;
let server: Server;
let cache: string;
let url: string;

beforeEach(async () => {
  served = bytes;
  fetches = 0;
  cache = mkdtempSync(join(tmpdir(), 'sextant-cache-'));
  server = createServer((_request, response) => {
    fetches += 1;
    response.end(served);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.close();
  rmSync(cache, { recursive: true });
});

const files = () => readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const get = () => fetchBlob({ sha256, bytes: bytes.length, url }, cache);

describe('a blob', () => {
  it('is fetched once and then read from the cache', async () => {
    expect(readFileSync(await get())).toEqual(bytes);
    expect(readFileSync(await get())).toEqual(bytes);
    expect(fetches).toBe(1);
  });

  it.each([
    ['changed', Buffer.from('the bytes that were Announced')],
    ['too short', bytes.subarray(1)],
    ['too long', Buffer.concat([bytes, Buffer.alloc(1_000_000)])],
    ['empty', Buffer.alloc(0)],
  ])('that arrives %s is refused and leaves nothing behind', async (_, wrong) => {
    served = wrong;
    await expect(get()).rejects.toMatchObject({ code: 'artefact_mismatch' });
    expect(files()).toEqual([]);
    served = bytes;
    expect(readFileSync(await get())).toEqual(bytes);
  });

  it('that many want at once is whole for each of them', async () => {
    const paths = await Promise.all(Array.from({ length: 8 }, get));
    for (const path of paths) {
      expect(readFileSync(path)).toEqual(bytes);
    }
    expect(files()).toHaveLength(1);
  });

  it('that cannot be reached is asked for until it can, or until nobody wants it any more', async () => {
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const wanted = get();
    const given = fetchBlob({ sha256, bytes: bytes.length, url }, cache, AbortSignal.timeout(100));
    await expect(given).rejects.toMatchObject({ code: 'unavailable' });
    server = createServer((_request, response) => response.end(served));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    expect(readFileSync(await wanted)).toEqual(bytes);
  });

  it('whose line breaks, or whose bucket is in trouble, is asked for again', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response) => {
      fetches += 1;
      if (fetches === 1) {
        response.writeHead(503).end();
      } else if (fetches === 2) {
        response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 5));
        setTimeout(() => response.destroy(), 20);
      } else {
        response.end(bytes);
      }
    });
    expect(readFileSync(await get())).toEqual(bytes);
    expect(fetches).toBe(3);
  });

  it('that the bucket does not give is missing at once', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response) => response.writeHead(403).end());
    await expect(get()).rejects.toMatchObject({ code: 'artefact_missing' });
    expect(files()).toEqual([]);
  });
});
