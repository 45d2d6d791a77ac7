/** The public keys with which the edge signs jobs: what a worker verifies messages against. */
import { createRoute } from '@hono/zod-openapi';
import { keySetSchema } from '../../shared/contracts/signing-keys.ts';
import type { App } from '../environment.ts';
import { json, open, problems } from '../http/declaration.ts';
import { publishedKeys } from '../workers/signing-keys.ts';

const route = createRoute({
  ...open,
  method: 'get',
  path: '/.well-known/jwks.json',
  tags: ['keys'],
  summary: "The edge's public signing keys (RFC 7517)",
  responses: { 200: json(keySetSchema.openapi('SigningKeys'), 'All live keys'), ...problems('quota_exceeded') },
});

export default function registerSigningKeys(app: App): void {
  // The lifetime bounds how long a new key may be unknown to caches on the way.
  app.openapi(route, (c) => c.json(publishedKeys(c.env), 200, { 'cache-control': 'public, max-age=30' }));
}
