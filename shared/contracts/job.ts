/** A job as the API shows it, and what a client sends to create one. */
import { z } from 'zod';
import { randomIdSchema } from './manifest.ts';
import { storageSchema } from './model.ts';
import { nameSchema } from './name.ts';
import { fieldErrorSchema } from './problem-document.ts';

const JOB_STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled'] as const;
export const jobStatusSchema = z.enum(JOB_STATUSES);
export type JobStatus = (typeof JOB_STATUSES)[number];
export const isTerminal = (status: JobStatus): boolean => status !== 'queued' && status !== 'running';

export const progressSchema = z.object({
  /** Share of the work done, 0 to 1, over the current attempt. */
  fraction: z.number().min(0).max(1),
  stage: z.string().max(100),
  /** Numbers that the job type declares, such as loss, tokens per second, seconds left. */
  metrics: z.record(z.string(), z.number().nullable()).default({}),
});
export type Progress = z.infer<typeof progressSchema>;

export const jobErrorSchema = z.object({
  code: z.string().max(60),
  detail: z.string().max(2000),
  errors: z.array(fieldErrorSchema).max(100).optional().describe('which values of the params were wrong'),
  attempt: z.number().int().nonnegative(),
});
export type JobError = z.infer<typeof jobErrorSchema>;

/** What ran the job: every result states it, so that numbers can be reproduced. */
export const runReportSchema = z.object({
  device: z.string().max(200),
  dtype: z.string().max(40),
  seed: z.number().nullable(),
  tolerance: z.string().max(200).nullable(),
  versions: z.record(z.string(), z.string()),
  wall_s: z.number().nonnegative(),
  peak_rss_bytes: z.number().nonnegative(),
  quantised_models: z
    .array(z.object({ model: z.string().max(400), storage: storageSchema }))
    .max(16)
    .optional()
    .describe('models of the job whose weights are stored quantised, and how'),
});
export type RunReport = z.infer<typeof runReportSchema>;

const jobArtefactSchema = z.object({
  id: z.string().describe('art_ id under which the bytes can be fetched'),
  name: z.string(),
  sha256: z.string(),
  bytes: z.number().int(),
  media_type: z.string(),
});
export type JobArtefact = z.infer<typeof jobArtefactSchema>;

export const jobSchema = z.object({
  id: randomIdSchema('job'),
  type: z.string(),
  status: jobStatusSchema,
  created_at: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  expires_at: z.string().nullable(),
  input_digest: z.string(),
  attempt: z.number().int(),
  progress: progressSchema.nullable(),
  error: jobErrorSchema.nullable(),
  result: z.record(z.string(), z.unknown()).nullable(),
  metrics: z.record(z.string(), z.number()).nullable(),
  cost: z.object({ unit: z.literal('device_second'), estimate: z.number(), actual: z.number().nullable() }),
  run: runReportSchema.nullable(),
  artefacts: z.array(jobArtefactSchema),
  /** Ids of the published results that the job published. */
  published: z.array(z.object({ kind: z.string(), id: z.string() })),
  labels: z.record(z.string(), z.string()),
  trace_id: z
    .string()
    .nullable()
    .default(null)
    .describe('what logs, messages and webhooks of the job carry (W3C Trace Context)'),
  resumed_from: randomIdSchema('job').nullable().default(null).describe('the job whose checkpoint this one took over'),
  /** Where a waiting job stands in line; null for one that does not wait, and in lists. */
  queue: z
    .object({
      ahead: z.number().int().describe('jobs whose turn comes before'),
      expected_start: z.string().nullable().describe('by the estimates of those; null while no worker is there'),
    })
    .nullable()
    .default(null),
});
export type Job = z.infer<typeof jobSchema>;

/** What a job was created with, as its type's contract takes it. */
export const jobParamsSchema = z.record(z.string(), z.unknown());

/** Body of `POST /v1/jobs`; `params` is validated by the job type's contract. */
export const createJobSchema = z.strictObject({
  type: z.string().max(60),
  params: jobParamsSchema,
  timeout_s: z.number().int().min(1).max(604_800).default(3600).describe('running time over all attempts'),
  queue_ttl_s: z.number().int().min(5).max(1_209_600).default(86_400),
  max_attempts: z.number().int().min(1).max(10).default(3),
  pool: nameSchema(60).default('default').describe('the workers that take it'),
  max_cost: z
    .number()
    .positive()
    .optional()
    .describe(
      'device seconds: a higher estimate is refused with 402, and a job that reaches it stops with its checkpoint',
    ),
  webhook: z.url().max(2000).optional(),
  labels: z
    .record(nameSchema(60), z.string().max(200))
    .refine((labels) => Object.keys(labels).length <= 64, 'a job has at most 64 labels')
    .default({}),
});
export type CreateJob = z.infer<typeof createJobSchema>;

export const jobEstimateSchema = z.object({
  type: z.string(),
  input_digest: z.string(),
  estimate: z.object({ device_seconds: z.number(), memory_bytes: z.number(), artefact_bytes: z.number() }),
});

/** A job as lists show it. */
export const jobSummarySchema = jobSchema.omit({
  result: true,
  metrics: true,
  run: true,
  artefacts: true,
  published: true,
});
/** Body of `POST /v1/jobs/{id}/resume`. */
export const resumeJobSchema = z.strictObject({ max_cost: createJobSchema.shape.max_cost });
