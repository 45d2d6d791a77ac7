/** What both OpenAI-shaped routes do: place the job, wait for it or follow it, answer in their shape. */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { type ModelReference, modelKey } from '../../shared/contracts/model.ts';
import contract from '../../shared/jobs/lm.generate.ts';
import { modelName } from '../../shared/requests/model-name.ts';
import type { AppEnv } from '../environment.ts';
import { json } from '../http/declaration.ts';
import { problemOf } from '../http/problem.ts';
import { viewJob } from '../jobs/waiting.ts';
import { followJob, SIGN_OF_LIFE, streamAnswer } from '../requests/event-stream.ts';
import { requireKnownModel } from '../requests/known-model.ts';
import { succeeded } from '../requests/outcome.ts';
import { placeRequest } from '../requests/placing.ts';
import { Chunks, type Kind, type Opening, wholeAnswer } from './answer.ts';
import { openAiError } from './error.ts';
import { type Answering, requireShort } from './job-params.ts';
import { wholeResult } from './texts.ts';

/** Errors of this route are told in OpenAI's shape. */
export const openAiShaped = createMiddleware<AppEnv>(async function openAiShaped(c, next) {
  c.set('errorShape', openAiError);
  await next();
});

const errorSchema = z
  .object({
    error: z.object({ message: z.string(), type: z.string(), code: z.string(), param: z.string().nullable() }),
  })
  .openapi('OpenAiError');
const errorOf = (description: string) => json(errorSchema, description);

export const openAiResponses = {
  400: errorOf('The request does not fit, or names something that is not supported'),
  401: errorOf('A valid API key is required'),
  402: errorOf('A cap on device seconds is reached'),
  403: errorOf('The API key lacks a scope'),
  404: errorOf('There is no such model'),
  413: errorOf('The body is too large'),
  429: errorOf('Too many requests'),
  500: errorOf('An internal error occurred'),
  503: errorOf('Temporarily unavailable'),
};

/** What a request of either kind asks of its answer. */
type Asked = {
  model: ModelReference;
  stream?: boolean | null | undefined;
  stream_options?: { include_usage?: boolean | null | undefined } | null | undefined;
};

/**
 * Answers with the texts of the job. Nobody who left comes back for an answer in this shape: the job is canceled then.
 * Raises `validation_failed` where a whole answer could become too long, as `placeRequest`, and what the job failed with.
 */
export async function answerInShape(c: Context<AppEnv>, kind: Kind, asked: Asked, of: Answering): Promise<Response> {
  const { tenant } = c.get('key');
  const stream = asked.stream ?? false;
  if (!stream) {
    requireShort(of);
  }
  await requireKnownModel(c.env, tenant, asked.model, contract.type);
  const body = { type: contract.type, params: of.params };
  const id = await placeRequest(c, body, { followed: stream, abandon_ms: 0 });
  const opening: Opening = {
    kind,
    id,
    created: Math.floor(Date.now() / 1000),
    model: modelName(modelKey(asked.model)),
  };
  if (stream) {
    const chunks = new Chunks(opening, of, asked.stream_options?.include_usage ?? false);
    return streamAnswer(chunked(c, id, chunks), { location: `/v1/jobs/${id}` });
  }
  const events = followJob(c.env, tenant, id, '');
  const whole = async () => {
    const job = succeeded(await viewJob(c.env, tenant, id, null));
    return wholeAnswer(opening, of, id, await wholeResult(c.env, tenant, job));
  };
  for (;;) {
    const { value, done } = await events.next();
    if (done) {
      return c.json(await whole(), 200);
    }
    // what could be wrong with the request has been found out before
    if (value?.event === 'progress') {
      const headers = {
        location: `/v1/jobs/${id}`,
        'content-type': 'application/json',
        'content-encoding': 'identity',
      };
      return streamAnswer(blanksThen(events, whole), headers);
    }
  }
}

/** Blanks for as long as there are events, then the answer as JSON: only who is written to, without a compressor between, is seen to have left. */
async function* blanksThen(
  events: ReturnType<typeof followJob>,
  answer: () => Promise<unknown>,
): AsyncGenerator<string, void> {
  yield '\n';
  for await (const _ of events) {
    yield '\n';
  }
  yield JSON.stringify(await answer());
}

async function* chunked(c: Context<AppEnv>, id: string, chunks: Chunks): AsyncGenerator<string, void> {
  const { tenant } = c.get('key');
  const line = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
  let attempt = 1;
  try {
    for await (const event of followJob(c.env, tenant, id, '')) {
      if (event?.event === 'tokens') {
        yield chunks.piece(event.data).map(line).join('');
      } else if (event?.event === 'status' && event.data.attempt > attempt) {
        attempt = event.data.attempt;
        yield `: attempt ${attempt} goes on\n\n`;
      } else {
        yield SIGN_OF_LIFE;
      }
    }
    for (const chunk of chunks.rest(succeeded(await viewJob(c.env, tenant, id, null)))) {
      yield line(chunk);
    }
  } catch (error) {
    yield line(openAiError(problemOf(error as Error, c)).body);
    return;
  }
  yield 'data: [DONE]\n\n';
}
