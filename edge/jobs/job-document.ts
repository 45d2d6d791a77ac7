/** A job as the contract shows it: one alternative per job type, each with its own params and its own result. */
import { z } from '@hono/zod-openapi';
import { createJobSchema, type Job, jobErrorSchema, jobSchema, jobSummarySchema } from '../../shared/contracts/job.ts';
import { JOB_FAILURE_TITLES, PROBLEMS } from '../../shared/contracts/problem.ts';
import { JOB_CONTRACTS } from '../../shared/jobs/index.generated.ts';

const TYPES = Object.values(JOB_CONTRACTS);
const nameOf = (type: string): string => type.replaceAll('.', '_');
type Alternatives = [z.ZodObject, ...z.ZodObject[]];

const codes = z.enum([...Object.keys(PROBLEMS), ...Object.keys(JOB_FAILURE_TITLES)] as [string, ...string[]]);
const error = jobErrorSchema.extend({ code: codes }).openapi('JobError').nullable();
const types = z.enum(TYPES.map(({ type }) => type) as [string, ...string[]]).openapi('JobType');

const anyJob = jobSchema.extend({ type: types, error }).openapi('JobOfAnyType');
const jobs = TYPES.map(({ type, result }) =>
  anyJob.extend({ type: z.literal(type), result: result.nullable() }).openapi(`Job_${nameOf(type)}`),
);
export const jobDocument = z
  .discriminatedUnion('type', jobs as unknown as Alternatives)
  .openapi('Job') as unknown as z.ZodType<Job>;

export const jobSummaryDocument = jobSummarySchema.extend({ type: types, error }).openapi('JobSummary');

const creations = TYPES.map(({ type, params, summary }) =>
  createJobSchema
    .extend({ type: z.literal(type), params })
    .describe(summary)
    .openapi(`CreateJob_${nameOf(type)}`),
);
export const createJobDocument = z
  .discriminatedUnion('type', creations as unknown as Alternatives)
  .openapi('CreateJob');

/** A request for a job of each type. */
export const createJobExamples = Object.fromEntries(
  TYPES.map(({ type, summary, example }) => [type, { summary, value: { type, params: example } }]),
);
