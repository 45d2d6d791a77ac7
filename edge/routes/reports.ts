/** Reports: typed results of jobs, immutable. */
import { createRoute, z } from '@hono/zod-openapi';
import { reportIdSchema, reportSchema } from '../../shared/contracts/manifest.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { readPublished } from '../published/reading.ts';
import { publishedCaching, publishedView } from '../published/view.ts';

const reportBody = reportSchema.openapi('Report');

const read = createRoute({
  ...keyed('reports:read'),
  method: 'get',
  path: '/v1/reports/{id}',
  tags: ['reports'],
  summary: 'Read a report',
  request: { params: z.object({ id: reportIdSchema }) },
  responses: { 200: json(reportBody, 'The report'), ...problems(...KEYED, 'not_found') },
});

export default function registerReports(app: App): void {
  app.openapi(read, async (c) => {
    const report = await readPublished(c.env, c.get('key').tenant, 'report', c.req.valid('param').id);
    for (const [name, value] of publishedCaching(report)) {
      c.header(name, value);
    }
    return c.json(publishedView(report), 200);
  });
}
