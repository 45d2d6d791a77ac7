/** Text in a request: a job of type `lm.generate` that the request waits for, or follows token by token. */
import { createRoute, z } from '@hono/zod-openapi';
import { frameOf } from '../../shared/contracts/job-event.ts';
import contract from '../../shared/jobs/lm.generate.ts';
import { generationRequestSchema } from '../../shared/requests/generation.ts';
import type { App, Env } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { ONCE } from '../idempotency/declaration.ts';
import { jobDocument } from '../jobs/job-document.ts';
import { viewJob } from '../jobs/waiting.ts';
import { requestHeaders } from '../requests/declaration.ts';
import { followJob, SIGN_OF_LIFE, streamAnswer } from '../requests/event-stream.ts';
import { requireKnownModel } from '../requests/known-model.ts';
import { answerOf, placeRequest, UNASKED_WAIT_S } from '../requests/placing.ts';

/** A client that lost its stream has so long to come back. */
const ABANDON_MS = 30_000;

const create = createRoute({
  ...keyedBody('jobs:write', 'jobs', undefined, contract.type),
  method: 'post',
  path: '/v1/generations',
  tags: ['generations'],
  summary: 'Generate text, plain and steered',
  description:
    'The job of type lm.generate underneath is the answer: after at most 60 s, or by events as the text comes (`stream`). A stream that broke off goes on at GET /v1/jobs/{id}/events, or here under the same Idempotency-Key, after Last-Event-ID; 30 s after its client left, the job is canceled.',
  request: {
    headers: requestHeaders,
    body: jsonRequest(generationRequestSchema.openapi('CreateGeneration')),
  },
  responses: {
    200: {
      description: 'The job, ended; with `stream` its events, and the job as the last one',
      content: {
        'application/json': { schema: jobDocument },
        'text/event-stream': { schema: z.string() },
      },
    },
    202: json(jobDocument, 'The job, not yet ended; its address stands in Location'),
    ...problems(...KEYED, ...BODY, ...ONCE, 'model_unknown', 'hook_unknown', 'input_not_found', 'spending_cap'),
  },
});

export default function registerGenerations(app: App): void {
  app.openapi(create, async (c) => {
    const { stream, pool, ...params } = c.req.valid('json');
    const { tenant } = c.get('key');
    await requireKnownModel(c.env, tenant, params.model, contract.type);
    const body = { type: contract.type, params, ...(pool === undefined ? {} : { pool }) };
    const id = await placeRequest(c, body, stream ? { followed: true, abandon_ms: ABANDON_MS } : undefined);
    if (!stream) {
      const { job, status } = await answerOf(c, id, UNASKED_WAIT_S);
      return c.json(job, status);
    }
    const last = c.req.header('last-event-id') ?? '';
    return streamAnswer(eventsThenJob(c.env, tenant, id, last), { location: `/v1/jobs/${id}` }) as never;
  });
}

/** The job's events, and the job itself once it has ended: without an id of its own, so that a client comes back behind the last event. */
async function* eventsThenJob(env: Env, tenant: string, id: string, last: string): AsyncGenerator<string, void> {
  for await (const event of followJob(env, tenant, id, last)) {
    yield event ? frameOf(event) : SIGN_OF_LIFE;
  }
  yield `event: job\ndata: ${JSON.stringify(await viewJob(env, tenant, id, null))}\n\n`;
}
