/** A local server that speaks the hub's file and revision endpoints, with the misbehaviour that tests ask for. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export type HubServer = {
  endpoint: string;
  requests: { path: string; range: string | undefined; authorization: string | undefined }[];
  /** Called before a file is sent; return true to have answered. */
  intercept: (name: string, request: IncomingMessage, response: ServerResponse) => boolean;
  /** Statuses with which the next lists of files are refused. */
  listings: number[];
  close(): Promise<void>;
};

const listen = (server: Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );

/** Serves `files` as repository `owner/model`; large files are listed with SHA-256, small ones with git ids. */
export async function hubServer(
  files: Record<string, Uint8Array>,
  options: { large?: (name: string) => boolean } = {},
): Promise<HubServer> {
  const large = options.large ?? ((name) => name.endsWith('.safetensors'));
  const siblings = Object.entries(files).map(([rfilename, bytes]) =>
    large(rfilename)
      ? { rfilename, size: 130, lfs: { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length } }
      : {
          rfilename,
          size: bytes.length,
          blobId: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
        },
  );
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://hub');
    hub.requests.push({ path: pathname, range: request.headers.range, authorization: request.headers.authorization });
    if (/^\/api\/models\/owner\/model\/revision\/(main|0123456789abcdef0123456789abcdef01234567)$/.test(pathname)) {
      const refused = hub.listings.shift();
      if (refused !== undefined) {
        return response.writeHead(refused).end();
      }
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ sha: COMMIT, siblings }));
    }
    const name = pathname.replace(`/owner/model/resolve/${COMMIT}/`, '');
    const bytes = files[name];
    if (!bytes) {
      return response.writeHead(404).end();
    }
    if (hub.intercept(name, request, response)) {
      return undefined;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (from > 0) {
      response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
    }
    return response.end(bytes.subarray(from));
  });
  const hub: HubServer = {
    endpoint: await listen(server),
    requests: [],
    listings: [],
    intercept: () => false,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return hub;
}
