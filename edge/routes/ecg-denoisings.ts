/** Short electrocardiograms in a request, cleaned by a job of type `ecg.denoise` that the request waits for. */
import { createRoute } from '@hono/zod-openapi';
import { TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { inlineRecordSchema } from '../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../shared/contracts/problem.ts';
import contract from '../../shared/jobs/ecg.denoise.ts';
import type { App } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { jobDocument } from '../jobs/job-document.ts';
import { requestHeaders } from '../requests/declaration.ts';
import { answerOf, placeRequest } from '../requests/placing.ts';

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
    headers: requestHeaders,
    body: jsonRequest(inlineRecordSchema.openapi('EcgRecord')),
  },
  responses: {
    200: json(jobDocument, 'The job, ended within Prefer: wait; its result holds the recording'),
    202: json(jobDocument, 'The job, queued; its address stands in Location'),
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
    const id = await placeRequest(c, { type: contract.type, params: { record } });
    const { job, status } = await answerOf(c, id, null);
    return c.json(job, status);
  });
}
