/** Activations in a request: a job of type `activations.read` that the request waits for. */
import { createRoute, z } from '@hono/zod-openapi';
import { isTerminal } from '../../shared/contracts/job.ts';
import contract from '../../shared/jobs/activations.read.ts';
import { activationsRequestSchema, activationsSchema } from '../../shared/requests/activations.ts';
import type { App } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';
import { ONCE } from '../idempotency/declaration.ts';
import { jobDocument } from '../jobs/job-document.ts';
import { activationFile, activationRows } from '../requests/activation-answer.ts';
import { requestHeaders } from '../requests/declaration.ts';
import { requireKnownModel } from '../requests/known-model.ts';
import { succeeded } from '../requests/outcome.ts';
import { answerOf, placeRequest, UNASKED_WAIT_S } from '../requests/placing.ts';

const create = createRoute({
  ...keyedBody('jobs:write', 'jobs', undefined, contract.type),
  method: 'post',
  path: '/v1/activations',
  tags: ['activations'],
  summary: 'Read the activations of up to 16 prompts',
  description:
    'The rows are those that activations.extract makes of the same texts: tokens that are not special, with their positions and the number of their prompt. A whole corpus: a job of type activations.extract.',
  request: {
    headers: requestHeaders,
    body: jsonRequest(activationsRequestSchema.openapi('ReadActivations')),
  },
  responses: {
    200: {
      description: 'The rows; as safetensors where asked for',
      content: {
        'application/json': { schema: activationsSchema.openapi('Activations') },
        'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) },
      },
    },
    202: json(jobDocument, 'The job, not yet ended; its address stands in Location'),
    ...problems(
      ...KEYED,
      ...BODY,
      ...ONCE,
      'model_unknown',
      'hook_unknown',
      'input_not_found',
      'context_exceeded',
      'not_acceptable',
      'unavailable',
    ),
  },
});

export default function registerActivations(app: App): void {
  app.openapi(create, async (c) => {
    const { format, ...params } = c.req.valid('json');
    const { tenant } = c.get('key');
    await requireKnownModel(c.env, tenant, params.model, contract.type);
    const id = await placeRequest(c, { type: contract.type, params });
    const { job } = await answerOf(c, id, UNASKED_WAIT_S);
    if (!isTerminal(job.status)) {
      return c.json(job, 202);
    }
    if (format === 'json') {
      return c.json(await activationRows(c.env, tenant, succeeded(job)), 200);
    }
    const file = await activationFile(c.env, tenant, succeeded(job));
    c.header('content-type', 'application/octet-stream');
    c.header('content-length', String(file.size));
    return c.body(file.body, 200) as never;
  });
}
