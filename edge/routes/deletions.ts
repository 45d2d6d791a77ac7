/** Deleting jobs and published results that have no file of their own for it. */
import { createRoute, z } from '@hono/zod-openapi';
import {
  type PublishedKind,
  predictorIdSchema,
  randomIdSchema,
  reportIdSchema,
  saeIdSchema,
} from '../../shared/contracts/manifest.ts';
import { deleteJob } from '../deletion/jobs.ts';
import type { App } from '../environment.ts';
import { auditOf } from '../http/audit.ts';
import { KEYED, keyed, problems } from '../http/declaration.ts';
import { deletePublished } from '../published/deletion.ts';
import { readPublished } from '../published/reading.ts';

const answers = { 204: { description: 'It is gone' }, ...problems(...KEYED, 'not_found', 'conflict') };
const job = createRoute({
  ...keyed('jobs:write', 'writes'),
  method: 'delete',
  path: '/v1/jobs/{id}',
  tags: ['jobs'],
  summary: 'Delete a job that has ended, with its artefacts; what it published stays',
  request: { params: z.object({ id: randomIdSchema('job') }) },
  responses: answers,
});

const KINDS = [
  { kind: 'sae', path: '/v1/saes/{id}', id: saeIdSchema },
  { kind: 'report', path: '/v1/reports/{id}', id: reportIdSchema },
  { kind: 'predictor', path: '/v1/fairness/predictors/{id}', id: predictorIdSchema },
] as const satisfies readonly { kind: PublishedKind; path: string; id: z.ZodType }[];

export default function registerDeletions(app: App): void {
  app.openapi(job, async (c) => {
    const { id } = c.req.valid('param');
    await deleteJob(c.env, auditOf(c, 'job.delete', id), Date.now());
    return c.body(null, 204);
  });
  for (const { kind, path, id } of KINDS) {
    const route = createRoute({
      ...keyed('artefacts:write', 'writes'),
      method: 'delete',
      path,
      tags: [`${kind}s`],
      summary: `Delete a ${kind}`,
      request: { params: z.object({ id }) },
      responses: answers,
    });
    app.openapi(route, async (c) => {
      const { tenant } = c.get('key');
      const found = await readPublished(c.env, tenant, kind, c.req.valid('param').id);
      await deletePublished(c.env, auditOf(c, `${kind}.delete`, found.id), found);
      return c.body(null, 204);
    });
  }
}
