/** `GET /v1/usage`: device seconds by day and key. */
import { createRoute, z } from '@hono/zod-openapi';
import { dayText, usageSchema } from '../../shared/contracts/usage.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { accountOf } from '../spending/account.ts';
import { dayOf } from '../spending/account-store.ts';

const usageBody = usageSchema.openapi('Usage');

const read = createRoute({
  ...keyed('usage:read'),
  method: 'get',
  path: '/v1/usage',
  tags: ['usage'],
  summary: 'Device seconds that jobs took, by the day of their end (UTC) and the key that created them',
  request: {
    query: z.strictObject({
      from: dayText.optional().describe('30 days before `to` unless named'),
      to: dayText.optional().describe('inclusive; today unless named'),
    }),
  },
  responses: {
    200: json(usageBody, 'Newest day first; at most 366 days'),
    ...problems(...KEYED, 'parameter_invalid'),
  },
});

const DAY_MS = 86_400_000;

export default function registerUsage(app: App): void {
  app.openapi(read, async (c) => {
    const { tenant } = c.get('key');
    const { from, to = dayOf(Date.now()) } = c.req.valid('query');
    const end = Date.parse(to) || Date.now();
    const first = from ?? dayOf(end - 30 * DAY_MS);
    const { results } = await c.env.DB.prepare(
      `SELECT day, key, count(*) AS jobs, sum(device_seconds) AS device_seconds FROM usage
       WHERE tenant = ?1 AND day BETWEEN max(?2, ?4) AND ?3 GROUP BY day, key ORDER BY day DESC, key`,
    )
      .bind(tenant, first, to, dayOf(end - 366 * DAY_MS))
      .all<z.infer<typeof usageBody>['data'][number]>();
    const today = await accountOf(c.env, tenant).today(tenant);
    return c.json({ data: results, today }, 200, { 'cache-control': 'no-store' });
  });
}
