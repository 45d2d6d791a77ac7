/** Text in a request: in Sextant's own shape, and in that of OpenAI's API. */
import type { z } from 'zod';
import type { Job } from '../../../shared/contracts/job.ts';
import type { activationsRequestSchema, activationsSchema } from '../../../shared/requests/activations.ts';
import type { generationRequestSchema } from '../../../shared/requests/generation.ts';
import type { chatRequestSchema, completionRequestSchema } from '../../../shared/requests/openai-request.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';
import { preferring } from './jobs.ts';

/** Streams of events are another answer; `jobs.events` of the job that `create` answers with follows it as it comes. */
type Whole<T> = Omit<T, 'stream' | 'stream_options'>;

export class Generations {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Generates text, plain or steered; answers the job, ended where it ends within `waitS` seconds (60). */
  create(
    request: Whole<z.input<typeof generationRequestSchema>>,
    { waitS, ...options }: CreateOptions & { waitS?: number } = {},
  ): Promise<Job> {
    return this.#transport.json('POST', '/v1/generations', { ...options, body: request, headers: preferring(waitS) });
  }

  /** Values at hook points, codes, logit lens and attention patterns of up to 16 prompts. */
  activations(
    request: Omit<z.input<typeof activationsRequestSchema>, 'format'>,
    { waitS, ...options }: CreateOptions & { waitS?: number } = {},
  ): Promise<z.output<typeof activationsSchema>> {
    return this.#transport.json('POST', '/v1/activations', { ...options, body: request, headers: preferring(waitS) });
  }

  /** A chat completion in OpenAI's shape. */
  chat(request: Whole<z.input<typeof chatRequestSchema>>, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.#transport.json('POST', '/v1/chat/completions', { ...options, body: request });
  }

  /** A text completion in OpenAI's shape. */
  complete(
    request: Whole<z.input<typeof completionRequestSchema>>,
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    return this.#transport.json('POST', '/v1/completions', { ...options, body: request });
  }
}
