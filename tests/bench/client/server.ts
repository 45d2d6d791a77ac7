/**
 * A server beside the measured process: one small JSON answer, a sink for uploads, and bytes of any size. It costs the same
 * for the client and for whatever the client is held against. Started by `fork`; says its port.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const PIECE = Buffer.alloc(1 << 20, 7);
const BYTES = Number(process.argv[2]);
const digest = (() => {
  const hash = createHash('sha256');
  for (let at = 0; at < BYTES; at += PIECE.length) {
    hash.update(PIECE.subarray(0, Math.min(PIECE.length, BYTES - at)));
  }
  return hash.digest('hex');
})();
const artefact = {
  id: `art_${'a'.repeat(26)}`,
  name: 'a',
  sha256: digest,
  bytes: BYTES,
  media_type: 'application/octet-stream',
  job: null,
  state: 'stored',
  created_at: '',
  expires_at: null,
};

const server = createServer(async (request, response) => {
  const json = (value: unknown) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (request.method === 'PUT') {
    for await (const _ of request) {
      // to the end
    }
    response.writeHead(200).end();
    return;
  }
  if (request.method === 'POST') {
    await request.toArray();
    const url = `http://${request.headers.host}/upload`;
    json({ ...artefact, upload: { method: 'PUT', url, expires_at: '' } });
    return;
  }
  if (!request.url?.startsWith('/v1/artefacts/')) {
    json({ id: `job_${'a'.repeat(26)}`, type: 'diagnostics.run', status: 'running', labels: {}, artefacts: [] });
    return;
  }
  response.writeHead(200, { etag: `"${digest}"`, 'content-length': BYTES, 'content-type': 'application/octet-stream' });
  for (let at = 0; at < BYTES; at += PIECE.length) {
    if (!response.write(PIECE.subarray(0, Math.min(PIECE.length, BYTES - at)))) {
      await new Promise((resolve) => response.once('drain', resolve));
    }
  }
  response.end();
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit(0));
