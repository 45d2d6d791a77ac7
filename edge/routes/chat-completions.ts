/** `POST /v1/chat/completions` in OpenAI's shape: a conversation, answered plain or steered. */
import { createRoute, z } from '@hono/zod-openapi';
import contract from '../../shared/jobs/lm.generate.ts';
import { chatRequestSchema } from '../../shared/requests/openai-request.ts';
import type { App } from '../environment.ts';
import { json, jsonRequest, keyedBody } from '../http/declaration.ts';
import { chatJob } from '../openai/job-params.ts';
import { answerInShape, openAiResponses, openAiShaped } from '../openai/route.ts';

const { security, middleware } = keyedBody('jobs:write', 'jobs', undefined, contract.type);

const create = createRoute({
  security,
  middleware: [openAiShaped, ...middleware],
  method: 'post',
  path: '/v1/chat/completions',
  tags: ['generations'],
  summary: "Answer a conversation, in the shape of OpenAI's API",
  description:
    'The field `steering` steers the answer. Underneath is a job of type lm.generate, whose id the answer carries; a client that leaves ends it.',
  request: { body: jsonRequest(chatRequestSchema.openapi('CreateChatCompletion')) },
  responses: {
    200: json(z.unknown(), 'A chat completion; with `stream`, its chunks as server-sent events'),
    ...openAiResponses,
  },
});

export default function registerChatCompletions(app: App): void {
  app.openapi(create, async (c) => {
    const request = c.req.valid('json');
    return (await answerInShape(c, 'chat', request, chatJob(request))) as never;
  });
}
