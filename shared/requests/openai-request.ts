/**
 * Requests in the shape of OpenAI's API (platform.openai.com/docs/api-reference, chat and completions), for clients that speak
 * it already. Fields that would change the answer and are not supported are refused by name; others are ignored.
 */
import { z } from 'zod';
import { seedSchema } from '../contracts/manifest.ts';
import { MOST_PROMPTS, MOST_TOKENS } from './generation.ts';
import { requestedModelSchema } from './model-name.ts';
import { steeringFieldSchema } from './steering-field.ts';

const refused = (what: string, neutral: (value: unknown) => boolean) =>
  z
    .unknown()
    .refine((value) => value === undefined || value === null || neutral(value), {
      message: `${what} is not supported here`,
      params: { code: 'unsupported_parameter' },
    })
    .optional();
const none = () => false;
const isEmpty = (value: unknown): boolean => typeof value === 'object' && Object.keys(value ?? {}).length === 0;
const is =
  (...neutral: unknown[]) =>
  (value: unknown): boolean =>
    neutral.includes(value);

const MOST_CHOICES = 8;
/** OpenAI takes four; more are possible here. */
const stop = z
  .union([z.string().min(1).max(200), z.array(z.string().min(1).max(200)).max(16)])
  .nullish()
  .transform((value) => (typeof value === 'string' ? [value] : (value ?? [])));
const tokens = z.number().int().min(1).max(MOST_TOKENS).nullish();

const common = {
  model: requestedModelSchema,
  n: z.number().int().min(1).max(MOST_CHOICES).nullish(),
  stop,
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().positive().max(1).nullish(),
  seed: seedSchema.nullish(),
  steering: steeringFieldSchema.nullish(),
  top_k: z.number().int().min(1).nullish().describe('beyond OpenAI'),
  repetition_penalty: z.number().positive().max(10).nullish().describe('beyond OpenAI'),
  presence_penalty: refused('presence_penalty', is(0)),
  frequency_penalty: refused('frequency_penalty', is(0)),
  logit_bias: refused('logit_bias', isEmpty),
};

const textPart = z.looseObject({ type: z.literal('text'), text: z.string().max(100_000) });
const contentSchema = z
  .union([z.string().max(100_000), z.array(textPart).max(1000)], { error: 'content is a text, or parts of type text' })
  .transform((content) => (typeof content === 'string' ? content : content.map(({ text }) => text).join('')));
const chatMessageSchema = z
  .looseObject({
    // what newer models call the system's message
    role: z
      .enum(['system', 'developer', 'user', 'assistant'])
      .transform((role) => (role === 'developer' ? 'system' : role)),
    content: contentSchema,
    tool_calls: refused('a call of tools', (value) => Array.isArray(value) && value.length === 0),
    function_call: refused('function_call', none),
  })
  .transform(({ role, content }) => ({ role, content }));

export const chatRequestSchema = z.looseObject({
  ...common,
  messages: z.array(chatMessageSchema).min(1).max(200),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  tools: refused('tools', (value) => Array.isArray(value) && value.length === 0),
  tool_choice: refused('tool_choice', is('none', 'auto')),
  functions: refused('functions', (value) => Array.isArray(value) && value.length === 0),
  function_call: refused('function_call', is('none', 'auto')),
  response_format: refused(
    'a response_format other than text',
    (value) => (value as { type?: unknown }).type === 'text',
  ),
  modalities: refused('a modality other than text', (value) => Array.isArray(value) && value.every(is('text'))),
  audio: refused('audio', none),
  prediction: refused('prediction', none),
  reasoning_effort: refused('reasoning_effort', is('none')),
  verbosity: refused('verbosity', is('medium')),
  web_search_options: refused('web_search_options', none),
});
export type ChatRequest = z.output<typeof chatRequestSchema>;

export const completionRequestSchema = z.looseObject({
  ...common,
  prompt: z
    .union([z.string().max(100_000), z.array(z.string().max(100_000)).min(1).max(MOST_PROMPTS)], {
      error: 'a prompt is a text or a list of texts; lists of tokens are not supported',
    })
    .transform((prompt) => (typeof prompt === 'string' ? [prompt] : prompt)),
  max_tokens: tokens,
  logprobs: z.number().int().min(0).max(20).nullish(),
  best_of: refused('best_of', is(1)),
  echo: refused('echo', is(false)),
  suffix: refused('suffix', is('')),
});
export type CompletionRequest = z.output<typeof completionRequestSchema>;
