/** `GET /v1/jobs/{id}/params`: what a job was created with. Apart from the job itself, since params may be megabytes. */
import { createRoute, z } from '@hono/zod-openapi';
import { jobParamsSchema } from '../../shared/contracts/job.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { json, KEYED, keyed, problems } from '../http/declaration.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { readParams } from '../jobs/params.ts';
import { noSuchJob } from '../jobs/waiting.ts';

const read = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs/{id}/params',
  tags: ['jobs'],
  summary: 'Read the params of a job',
  request: { params: z.object({ id: randomIdSchema('job') }) },
  responses: {
    200: json(jobParamsSchema.openapi('JobParams'), 'The params as they were taken, with every default'),
    ...problems(...KEYED, 'not_found', 'unavailable'),
  },
});

export default function registerJobParams(app: App): void {
  app.openapi(read, async (c) => {
    const { tenant } = c.get('key');
    const { id } = c.req.valid('param');
    const given = await ledgerOf(c.env, id).given(tenant);
    if (given === null) {
      throw noSuchJob(id);
    }
    if (given === 'purged') {
      throw new SextantError('not_found', 'the params of a job on people’s data are deleted 24 h after its end');
    }
    const params = 'inline' in given ? given.inline : await readParams(c.env, tenant, id);
    return c.json(params, 200, { 'cache-control': 'no-store' });
  });
}
