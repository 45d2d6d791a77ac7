/** What an OpenAI-shaped request asks of `lm.generate`. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { MOST_PROMPTS } from '../../shared/requests/generation.ts';
import type { ChatRequest, CompletionRequest } from '../../shared/requests/openai-request.ts';

/** What OpenAI takes where a request says nothing. */
const DEFAULT_TEMPERATURE = 1;
const COMPLETION_TOKENS = 16;
/** OpenAI goes on to the end of the context. */
const CHAT_TOKENS = 1024;

/** Tokens and alternatives that a whole answer may come to: some twelve million characters. */
const MOST_TOLD = 131_072;

type Asked = { prompts: unknown[]; max_tokens: number; alternatives: number | null };

/** Params of the job, and how its texts become choices. */
export type Answering = {
  params: Record<string, unknown>;
  /** Labels of the runs: choices of each follow those of the run before. */
  runs: string[];
  /** Prompts that are told apart in the usage. */
  distinct: number;
  /** Copies of each prompt. */
  copies: number;
};

export const chatJob = (request: ChatRequest): Answering => {
  const { messages, max_tokens, max_completion_tokens, logprobs, top_logprobs } = request;
  if (typeof top_logprobs === 'number' && !logprobs) {
    const detail = 'top_logprobs needs logprobs: true';
    throw new SextantError('validation_failed', detail, {
      errors: [{ pointer: '/top_logprobs', code: 'custom', detail }],
    });
  }
  return answering(request, {
    prompts: [messages],
    max_tokens: max_completion_tokens ?? max_tokens ?? CHAT_TOKENS,
    alternatives: logprobs ? (top_logprobs ?? 0) : null,
  });
};

export const completionJob = (request: CompletionRequest): Answering =>
  answering(request, {
    prompts: request.prompt,
    max_tokens: request.max_tokens ?? COMPLETION_TOKENS,
    alternatives: request.logprobs ?? null,
  });

function answering(request: ChatRequest | CompletionRequest, { prompts, max_tokens, alternatives }: Asked): Answering {
  const { model, n, temperature, top_p, top_k, repetition_penalty, stop, steering } = request;
  const copies = n ?? 1;
  if (copies * prompts.length > MOST_PROMPTS) {
    const detail = `${copies} answers to each of ${prompts.length} prompts; a request has at most ${MOST_PROMPTS}`;
    throw new SextantError('validation_failed', detail, { errors: [{ pointer: '/n', code: 'too_big', detail }] });
  }
  const { positions = 'all', allow_mismatch = false, beside_plain = false, ...edits } = steering ?? {};
  const plain = { label: 'plain', vectors: [] };
  const steered = { label: 'steered', ...edits };
  const runs = steering ? [steered, ...(beside_plain ? [plain] : [])] : [plain];
  return {
    params: {
      model,
      prompts: prompts.flatMap((prompt) => Array.from({ length: copies }, () => prompt)),
      max_tokens,
      temperature: temperature ?? DEFAULT_TEMPERATURE,
      top_k: top_k ?? null,
      top_p: top_p ?? null,
      repetition_penalty: repetition_penalty ?? 1,
      stop,
      runs,
      steer: positions,
      allow_mismatch,
      alternatives,
      // a request that names none wants another answer each time; the job says which it took
      seed: request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    },
    runs: runs.map(({ label }) => label),
    distinct: prompts.length,
    copies,
  };
}

/** Refuses an answer that could become longer than one that is made whole can be: a stream has no such limit. */
export function requireShort({ params, runs }: Answering): void {
  const { prompts, max_tokens, alternatives } = params as {
    prompts: unknown[];
    max_tokens: number;
    alternatives: number | null;
  };
  const told = runs.length * prompts.length * max_tokens * (1 + (alternatives ?? 0));
  if (told > MOST_TOLD) {
    const detail = `${runs.length * prompts.length} answers of up to ${max_tokens} tokens with ${alternatives ?? 0} alternatives each are ${told}; a whole answer has at most ${MOST_TOLD}: ask for fewer, or with stream: true`;
    throw new SextantError('validation_failed', detail, {
      errors: [{ pointer: '/max_tokens', code: 'too_big', detail }],
    });
  }
}
