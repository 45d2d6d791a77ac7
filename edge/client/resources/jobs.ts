/** Jobs: every heavy operation is one. */
import type { z } from 'zod';
import type {
  createJobSchema,
  Job,
  JobStatus,
  jobEstimateSchema,
  jobSummarySchema,
  Progress,
  resumeJobSchema,
} from '../../../shared/contracts/job.ts';
import type { JobEvent } from '../../../shared/contracts/job-event.ts';
import type { jobDeliveriesSchema } from '../../../shared/contracts/webhook-endpoint.ts';
import type { JobContracts } from '../../../shared/jobs/index.generated.ts';
import { JobFailedError } from '../errors.ts';
import { type EventOptions, events } from '../events.ts';
import { type PageOptions, Pages } from '../pages.ts';
import type { CallOptions, CreateOptions, Transport } from '../transport.ts';

export type JobType = keyof JobContracts;
export type JobParams<T extends JobType> = z.input<JobContracts[T]['params']>;
export type JobResult<T extends JobType> = z.output<JobContracts[T]['result']>;
/** Beside `type` and `params`: limits, pool, labels, webhook. */
export type JobTerms = Omit<z.input<typeof createJobSchema>, 'type' | 'params'>;
export type JobSummary = z.output<typeof jobSummarySchema>;
export type JobEstimate = z.output<typeof jobEstimateSchema>;
/** A job of a known type that has succeeded. */
export type JobOf<T extends JobType> = Omit<Job, 'type' | 'result'> & { type: T; result: JobResult<T> };

type WaitOptions = CallOptions & {
  /** Seconds to wait for the end, at most 60. */
  waitS?: number;
};
export type RunOptions = CreateOptions &
  JobTerms & {
    /** Told of the job as soon as it exists. */
    onCreated?: (job: Job) => void;
    onProgress?: (progress: Progress & { attempt: number }) => void;
    /** Cancels the job where the signal is aborted; otherwise it goes on without this caller. */
    cancelOnAbort?: boolean;
  };

const ENDED: ReadonlySet<JobStatus> = new Set(['succeeded', 'failed', 'canceled']);

export class Jobs {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Creates a job and answers at once, or after `waitS` seconds at most. */
  create<T extends JobType>(
    type: T,
    params: JobParams<T>,
    { signal, idempotencyKey, waitS, ...terms }: CreateOptions & WaitOptions & JobTerms = {},
  ): Promise<Job> {
    return this.#transport.json('POST', '/v1/jobs', {
      body: { type, params, ...terms },
      ...withoutUndefined({ signal, idempotencyKey }),
      headers: preferring(waitS),
    });
  }

  /** What a job would cost; nothing is created. */
  estimate<T extends JobType>(
    type: T,
    params: JobParams<T>,
    { signal, ...terms }: CallOptions & JobTerms = {},
  ): Promise<JobEstimate> {
    const query = { dry_run: true };
    return this.#transport.json('POST', '/v1/jobs', {
      query,
      body: { type, params, ...terms },
      ...withoutUndefined({ signal }),
    });
  }

  list(options: PageOptions & { type?: JobType; status?: JobStatus } = {}): Pages<JobSummary> {
    return new Pages(this.#transport, '/v1/jobs', options);
  }

  get(id: string, { waitS, ...options }: WaitOptions = {}): Promise<Job> {
    return this.#transport.json('GET', `/v1/jobs/${encodeURIComponent(id)}`, {
      ...options,
      headers: preferring(waitS),
    });
  }

  /** What a job was created with, with every default; those of a job on people's data go 24 h after its end. */
  params(id: string, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.#transport.json('GET', `/v1/jobs/${encodeURIComponent(id)}/params`, options);
  }

  cancel(id: string, options: CallOptions = {}): Promise<Job> {
    return this.#transport.json('POST', `/v1/jobs/${encodeURIComponent(id)}/cancel`, options);
  }

  /** Deletes a job that has ended, with its artefacts. */
  delete(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.nothing('DELETE', `/v1/jobs/${encodeURIComponent(id)}`, options);
  }

  /** Goes on, as a new job, with one that a cap on device seconds stopped. */
  resume(id: string, body: z.input<typeof resumeJobSchema> = {}, options: CreateOptions = {}): Promise<Job> {
    return this.#transport.json('POST', `/v1/jobs/${encodeURIComponent(id)}/resume`, { ...options, body });
  }

  /** Every try to deliver the job's own webhook. */
  deliveries(id: string, options: CallOptions = {}): Promise<z.output<typeof jobDeliveriesSchema>> {
    return this.#transport.json('GET', `/v1/jobs/${encodeURIComponent(id)}/deliveries`, options);
  }

  /** Status and progress as they come, until the job has ended. */
  events(id: string, options: EventOptions = {}): AsyncGenerator<JobEvent, void, undefined> {
    const isLast = (event: JobEvent): boolean => event.event === 'status' && ENDED.has(event.data.status);
    return events(this.#transport, `/v1/jobs/${encodeURIComponent(id)}/events`, isLast, options);
  }

  /** Follows a job to its end. @throws JobFailedError where it ends without a result */
  async wait(id: string, { onProgress, ...options }: EventOptions & Pick<RunOptions, 'onProgress'> = {}): Promise<Job> {
    for await (const event of this.events(id, options)) {
      if (event.event === 'progress') {
        onProgress?.(event.data);
      }
    }
    const job = await this.get(id, options.signal ? { signal: options.signal } : {});
    if (job.status !== 'succeeded') {
      throw new JobFailedError(job);
    }
    return job;
  }

  /**
   * Creates a job, follows it to its end and returns its result. An aborted signal ends the waiting alone, unless
   * `cancelOnAbort`. @throws JobFailedError with the job's error
   */
  async run<T extends JobType>(type: T, params: JobParams<T>, options: RunOptions = {}): Promise<JobResult<T>> {
    return (await this.runJob(type, params, options)).result;
  }

  /** As `run`, but the whole job: artefacts, metrics, cost. */
  async runJob<T extends JobType>(type: T, params: JobParams<T>, options: RunOptions = {}): Promise<JobOf<T>> {
    const { onCreated, onProgress, cancelOnAbort, ...rest } = options;
    const created = await this.create(type, params, rest);
    onCreated?.(created);
    try {
      return (await this.wait(created.id, withoutUndefined({ signal: rest.signal, onProgress }))) as JobOf<T>;
    } catch (error) {
      if (cancelOnAbort && rest.signal?.aborted) {
        await this.cancel(created.id).catch(() => undefined);
      }
      throw error;
    }
  }
}

export const preferring = (waitS: number | undefined) => ({
  prefer: waitS === undefined ? undefined : `wait=${waitS}`,
});

/** Drops what is not there, since an absent option and an undefined one are two things. */
export function withoutUndefined<T extends Record<string, unknown>>(
  options: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
