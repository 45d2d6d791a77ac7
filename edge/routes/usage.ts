/** `GET /v1/usage`: device seconds by day and key. */
import { createRoute, z } from '@hono/zod-openapi';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { accountOf } from '../spending/account.ts';
import { dayOf } from '../spending/account-store.ts';

const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'YYYY-MM-DD');
const line = z.object({
  charged: z.number().describe('device seconds taken'),
  reserved: z.number().describe('device seconds put aside for jobs that go on'),
  cap: z.number().nullable().describe('device seconds a day; null without a cap'),
});
const usageSchema = z
  .object({
    data: z.array(
      z.object({
        day,
        key: z.string().describe('empty for jobs from before keys were noted'),
        jobs: z.number().int(),
        device_seconds: z.number(),
      }),
    ),
    today: line
      .extend({ day, keys: z.array(line.extend({ key: z.string() })) })
      .describe('the day as it stands, jobs that still run included'),
  })
  .openapi('Usage');

const read = createRoute({
  ...keyed('usage:read'),
  method: 'get',
  path: '/v1/usage',
  tags: ['usage'],
  summary: 'Device seconds that jobs took, by the day of their end (UTC) and the key that created them',
  request: {
    query: z.strictObject({
      from: day.optional().describe('30 days before `to` unless named'),
      to: day.optional().describe('inclusive; today unless named'),
    }),
  },
  responses: {
    200: json(usageSchema, 'Newest day first; at most 366 days'),
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
      .all<z.infer<typeof usageSchema>['data'][number]>();
    const today = await accountOf(c.env, tenant).today(tenant);
    return c.json({ data: results, today }, 200, { 'cache-control': 'no-store' });
  });
}
