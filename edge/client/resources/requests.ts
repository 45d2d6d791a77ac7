/** Text and activations in a request: each is a job underneath, which the answer names. */
import type { z } from 'zod';
import type { Job } from '../../../shared/contracts/job.ts';
import type { activationsRequestSchema, activationsSchema } from '../../../shared/requests/activations.ts';
import type { generationRequestSchema } from '../../../shared/requests/generation.ts';
import type { chatRequestSchema, completionRequestSchema } from '../../../shared/requests/openai-request.ts';
import type { CreateOptions, Transport } from '../transport.ts';
import type { JobResult } from './jobs.ts';
import { preferring } from './jobs.ts';

type WaitOptions = CreateOptions & {
  /** Seconds to wait for the end, at most 60, which is also what it waits unasked. */
  waitS?: number;
};
/** The job, ended where `status` says so. */
type Generation = Omit<Job, 'result'> & { result: JobResult<'lm.generate'> | null };
type Activations = z.output<typeof activationsSchema>;

export class Generations {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Text plain and steered. To follow it as it comes, use `jobs.events` with a job that is not waited for. */
  create(
    request: Omit<z.input<typeof generationRequestSchema>, 'stream'>,
    { waitS, ...options }: WaitOptions = {},
  ): Promise<Generation> {
    return this.#transport.json('POST', '/v1/generations', { ...options, body: request, headers: preferring(waitS) });
  }

  /** In the shape of OpenAI's API, whose own clients work as well, streams included. */
  chat(
    request: Omit<z.input<typeof chatRequestSchema>, 'stream'>,
    options: CreateOptions = {},
  ): Promise<Record<string, unknown>> {
    return this.#transport.json('POST', '/v1/chat/completions', { ...options, body: request });
  }

  complete(
    request: Omit<z.input<typeof completionRequestSchema>, 'stream'>,
    options: CreateOptions = {},
  ): Promise<Record<string, unknown>> {
    return this.#transport.json('POST', '/v1/completions', { ...options, body: request });
  }

  /** Values at hook points, codes, logit lens and attention patterns of up to 16 prompts. */
  activations(
    request: Omit<z.input<typeof activationsRequestSchema>, 'format'>,
    { waitS, ...options }: WaitOptions = {},
  ): Promise<Activations> {
    return this.#transport.json('POST', '/v1/activations', { ...options, body: request, headers: preferring(waitS) });
  }
}
