/** Short electrocardiograms in a request, cleaned by a job of type `ecg.denoise` that the request waits for. */
import { createRoute, z } from '@hono/zod-openapi';
import { inlineRecordSchema } from '../../shared/contracts/ecg-record.ts';
import { isTerminal, jobSchema } from '../../shared/contracts/job.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/ecg.denoise.ts';
import type { App } from '../environment.ts';
import { TABLE_LIMIT } from '../http/body.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { traceOf } from '../http/envelope.ts';
import { preferredWait } from '../http/prefer.ts';
import { createOnce } from '../jobs/creation.ts';
import { viewJob } from '../jobs/waiting.ts';

const [MOST_SECONDS, MOST_LEADS] = [60, 2];

const create = createRoute({
  ...keyedBody('jobs:write', 'jobs', TABLE_LIMIT, contract.type),
  method: 'post',
  path: '/v1/ecg/denoisings',
  tags: ['ecg'],
  summary: 'Remove noise from a short electrocardiogram',
  description:
    'At most 60 s of two leads; samples and result are deleted after 24 h. Anything longer: a job of type ecg.denoise. Not a medical device.',
  request: {
    headers: z.object({
      'idempotency-key': z.string().max(255).optional().describe('a repeat creates nothing new'),
      prefer: z
        .string()
        .max(200)
        .optional()
        .describe('wait=n: answer 200 as soon as the job ends, at most n <= 60 s later'),
    }),
    body: jsonRequest(inlineRecordSchema.openapi('EcgRecord')),
  },
  responses: {
    200: json(jobSchema.openapi('Job'), 'The job, ended within Prefer: wait; its result holds the recording'),
    202: json(jobSchema.openapi('Job'), 'The job, queued; its address stands in Location'),
    ...problems(...KEYED, ...BODY, 'idempotency_in_flight', 'idempotency_key_reused', 'computation_too_large'),
  },
});

export default function registerEcgDenoisings(app: App): void {
  app.openapi(create, async (c) => {
    const record = c.req.valid('json');
    const longest = Math.max(...record.leads.map(({ samples }) => samples.length));
    if (record.leads.length > MOST_LEADS || longest > MOST_SECONDS * record.rate_hz) {
      throw new SextantError(
        'computation_too_large',
        `${record.leads.length} leads of ${Math.ceil(longest / record.rate_hz)} s; a request holds ${MOST_LEADS} leads of ${MOST_SECONDS} s: create a job of type ${contract.type} for more`,
        { details: { job_type: contract.type } },
      );
    }
    const { id, replayed } = await createOnce(c.env, c.get('key'), {
      idempotencyKey: c.req.header('idempotency-key'),
      path: c.req.path,
      required: false,
      raw: c.get('body'),
      body: { type: contract.type, params: { record } },
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
    const job = await viewJob(c.env, c.get('key').tenant, id, wait);
    c.header('location', `/v1/jobs/${id}`);
    c.header('cache-control', 'no-store');
    return c.json(job, wait !== null && isTerminal(job.status) ? 200 : 202);
  });
}
