/** `POST /v1/jobs/{id}/resume`: goes on with a job that a cap on device seconds stopped. */
import { createRoute, z } from '@hono/zod-openapi';
import { resumeJobSchema } from '../../shared/contracts/job.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import type { App } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { jobDocument } from '../jobs/job-document.ts';
import { resumeJob } from '../jobs/resumption.ts';
import { viewJob } from '../jobs/waiting.ts';

const resume = createRoute({
  ...keyedBody('jobs:write', 'jobs'),
  method: 'post',
  path: '/v1/jobs/{id}/resume',
  tags: ['jobs'],
  summary: 'Go on with a job that failed with spending_cap, from its checkpoint, as a new job',
  request: {
    params: z.object({ id: randomIdSchema('job') }),
    body: jsonRequest(resumeJobSchema.openapi('ResumeJob')),
  },
  responses: {
    202: json(jobDocument, 'The new job, the same for each repeat; `resumed_from` names this one'),
    ...problems(...KEYED, ...BODY, 'not_found', 'conflict', 'spending_cap', 'input_not_found'),
  },
});

export default function registerJobResume(app: App): void {
  app.openapi(resume, async (c) => {
    const key = c.get('key');
    const of = { stopped: c.req.valid('param').id, max_cost: c.req.valid('json').max_cost, trace: traceOf(c) };
    const id = await resumeJob(c.env, key, of);
    c.header('location', `/v1/jobs/${id}`);
    return c.json(await viewJob(c.env, key.tenant, id, null), 202, { 'cache-control': 'no-store' });
  });
}
