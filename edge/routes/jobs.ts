/** Jobs: every heavy operation is one. A POST answers as soon as the job is in its ledger and on the queue. */

import { createRoute, z } from '@hono/zod-openapi';
import { isTerminal, jobEstimateSchema, jobStatusSchema } from '../../shared/contracts/job.ts';
import { randomIdSchema } from '../../shared/contracts/manifest.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { App } from '../environment.ts';
import { access } from '../http/access.ts';
import { jsonBody } from '../http/body.ts';
import { BODY, json, KEYED, keyed, page, pageQuery, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { newestFirst, type Position, pageOf } from '../http/pages.ts';
import { preferredWait } from '../http/prefer.ts';
import { admit } from '../jobs/admission.ts';
import { unwrap } from '../jobs/answer.ts';
import { createOnce } from '../jobs/creation.ts';
import { createJobDocument, createJobExamples, jobDocument, jobSummaryDocument } from '../jobs/job-document.ts';
import { ledgerOf } from '../jobs/ledger-of.ts';
import { listJobs } from '../jobs/projection.ts';
import { noSuchJob, viewJob } from '../jobs/waiting.ts';

const estimateBody = jobEstimateSchema.openapi('JobEstimate');
const idParams = z.object({ id: randomIdSchema('job') });
const tags = ['jobs'];

const createQuery = z.strictObject({ dry_run: z.enum(['true', 'false']).default('false') });
const createHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'an Idempotency-Key has 1 to 255 printable characters')
    .optional()
    .describe('required unless dry_run'),
  prefer: z
    .string()
    .max(200)
    .optional()
    .describe('wait=n: answer 200 as soon as the job ends, at most n <= 60 s later'),
});
const waitHeaders = z.object({ prefer: z.string().max(200).optional().describe('wait=n: wait up to n <= 60 s') });

const list = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs',
  tags,
  summary: 'List jobs, newest first',
  request: { query: pageQuery.extend({ type: z.string().max(60).optional(), status: jobStatusSchema.optional() }) },
  responses: { 200: json(page(jobSummaryDocument), 'Newest first'), ...problems(...KEYED, 'parameter_invalid') },
});
const read = createRoute({
  ...keyed('jobs:read'),
  method: 'get',
  path: '/v1/jobs/{id}',
  tags,
  summary: 'Read a job',
  request: { params: idParams, headers: waitHeaders },
  responses: { 200: json(jobDocument, 'The job'), ...problems(...KEYED, 'not_found') },
});
const cancel = createRoute({
  ...keyed('jobs:write', 'writes'),
  method: 'post',
  path: '/v1/jobs/{id}/cancel',
  tags,
  summary: 'Cancel a job that has not ended',
  request: { params: idParams },
  responses: { 200: json(jobDocument, 'It is canceled'), ...problems(...KEYED, 'not_found', 'job_terminal') },
});

/** What a job shows does not change any more once it has ended, but it may be deleted. */
const uncached = { 'cache-control': 'no-store' };

export default function registerJobs(app: App): void {
  registerCreate(app);
  app.openapi(list, async (c) => {
    const { type, status, ...query } = c.req.valid('query');
    const read = (before: Position, limit: number) =>
      listJobs(c.env.DB, c.get('key').tenant, { type, status }, before, limit);
    return c.json(await pageOf(c, query, newestFirst, read, ({ job }) => job), 200, uncached);
  });
  app.openapi(read, async (c) => {
    const wait = preferredWait(c.req.valid('header').prefer ?? null);
    const job = await viewJob(c.env, c.get('key').tenant, c.req.valid('param').id, wait);
    if (wait !== null) {
      c.header('preference-applied', `wait=${wait}`);
    }
    return c.json(job, 200, uncached);
  });
  app.openapi(cancel, async (c) => {
    const { id } = c.req.valid('param');
    const job = unwrap(await ledgerOf(c.env, id).cancel(c.get('key').tenant));
    if (!job) {
      throw noSuchJob(id);
    }
    return c.json(job, 200, uncached);
  });
}

/** The body is checked by the type's own contract rather than by the union, whose errors would name every type. */
function registerCreate(app: App): void {
  app.openAPIRegistry.registerPath({
    security: [{ bearer: ['jobs:write'] }],
    method: 'post',
    path: '/v1/jobs',
    tags,
    summary: 'Create a job',
    request: {
      query: createQuery,
      headers: createHeaders,
      body: {
        required: true,
        content: { 'application/json': { schema: createJobDocument, examples: createJobExamples } },
      },
    },
    responses: {
      200: json(
        z.union([jobDocument, estimateBody]),
        'The job, ended within Prefer: wait; or the estimate of a dry run',
      ),
      202: json(jobDocument, 'The job, queued; its address stands in Location'),
      ...problems(
        ...KEYED,
        ...BODY,
        'idempotency_key_missing',
        'idempotency_in_flight',
        'idempotency_key_reused',
        'job_type_unknown',
        'hook_unknown',
        'input_not_found',
        'spending_cap',
      ),
    },
  });
  app.post('/v1/jobs', access('jobs:write', 'jobs'), jsonBody(), async (c) => {
    const key = c.get('key');
    const query = createQuery.safeParse(c.req.query());
    if (!query.success) {
      throw new SextantError('parameter_invalid', 'the only query parameter is dry_run, true or false');
    }
    if (query.data.dry_run === 'true') {
      const { contract, input_digest, estimate } = await admit(c.env, key, await c.req.json());
      return c.json({ type: contract.type, input_digest, estimate }, 200, uncached);
    }
    const idempotencyKey = c.req.header('idempotency-key');
    const { id, replayed } = await createOnce(c.env, key, {
      idempotencyKey,
      path: c.req.path,
      required: true,
      raw: c.get('body'),
      body: await c.req.json(),
      request_id: c.get('requestId'),
      trace: traceOf(c),
    });
    if (replayed) {
      c.header('idempotency-replayed', 'true');
    }
    const wait = preferredWait(c.req.header('prefer') ?? null);
    if (wait !== null) {
      c.header('preference-applied', `wait=${wait}`);
    }
    const job = await viewJob(c.env, key.tenant, id, wait);
    c.header('location', `/v1/jobs/${id}`);
    return c.json(job, wait !== null && isTerminal(job.status) ? 200 : 202, uncached);
  });
}
