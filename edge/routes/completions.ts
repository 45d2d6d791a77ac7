/** `POST /v1/completions` in OpenAI's shape: a text, continued plain or steered. */
import { createRoute, z } from '@hono/zod-openapi';
import contract from '../../shared/jobs/lm.generate.ts';
import { completionRequestSchema } from '../../shared/requests/openai-request.ts';
import type { App } from '../environment.ts';
import { json, jsonRequest, keyedBody } from '../http/declaration.ts';
import { completionJob } from '../openai/job-params.ts';
import { answerInShape, openAiResponses, openAiShaped } from '../openai/route.ts';

const { security, middleware } = keyedBody('jobs:write', 'jobs', undefined, contract.type);

const create = createRoute({
  security,
  middleware: [openAiShaped, ...middleware],
  method: 'post',
  path: '/v1/completions',
  tags: ['generations'],
  summary: "Continue a text, in the shape of OpenAI's API",
  description:
    'The field `steering` steers the answer. Underneath is a job of type lm.generate, whose id the answer carries; a client that leaves ends it.',
  request: { body: jsonRequest(completionRequestSchema.openapi('CreateCompletion')) },
  responses: {
    200: json(z.unknown(), 'A completion; with `stream`, its chunks as server-sent events'),
    ...openAiResponses,
  },
});

export default function registerCompletions(app: App): void {
  app.openapi(create, async (c) => {
    const request = c.req.valid('json');
    return (await answerInShape(c, 'completion', request, completionJob(request))) as never;
  });
}
