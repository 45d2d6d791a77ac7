/** Liveness. */
import { createRoute } from '@hono/zod-openapi';
import { healthSchema } from '../../shared/contracts/capabilities.ts';
import type { App } from '../environment.ts';
import { json, open, problems } from '../http/declaration.ts';

const health = createRoute({
  ...open,
  method: 'get',
  path: '/healthz',
  tags: ['service'],
  summary: 'Whether the edge answers',
  responses: { 200: json(healthSchema, 'It does'), ...problems('quota_exceeded') },
});

export default function registerHealth(app: App): void {
  app.openapi(health, (c) => {
    c.header('cache-control', 'no-store');
    return c.json({ status: 'ok' as const }, 200);
  });
}
