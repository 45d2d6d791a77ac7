/**
 * `diagnostics.run`: does nothing useful, in a way that can be dosed. Operators use it to see a new deployment, or a new
 * worker, go through the whole path: dispatch, progress, memory limit, timeouts, retries, uploads.
 */
import { z } from 'zod';
import { laneSchema } from '../contracts/lane.ts';
import { digestSchema, seedSchema } from '../contracts/manifest.ts';
import { defineJob } from './contract.ts';

export default defineJob({
  type: 'diagnostics.run',
  summary: 'Exercise a deployment: steps, memory, failures and artefacts of a given size',
  version: 1,
  scope: 'jobs:write',
  example: { steps: 3, step_ms: 10 },
  params: z.strictObject({
    steps: z.number().int().min(1).max(1_000_000).default(10),
    step_ms: z.number().int().min(0).max(60_000).default(100).describe('how long a step takes'),
    busy: z.boolean().default(false).describe('compute through each step without a pause instead of sleeping'),
    allocate_bytes: z.number().int().min(0).max(1e12).default(0).describe('memory held, filled evenly over the steps'),
    fail_at: z.number().int().min(1).nullable().default(null).describe('step at which the job fails'),
    fail_as: z
      .enum(['retryable', 'permanent', 'crash'])
      .default('permanent')
      .describe('an error worth another attempt, one that is not, or the end of the process without a word'),
    artefacts: z.number().int().min(0).max(100).default(1),
    artefact_bytes: z.number().int().min(0).max(1_000_000_000).default(1000),
    padding: z.string().max(900_000).default('').describe('makes the params large'),
    lane: laneSchema.optional().describe('where it waits, if it is small enough: interactive, or else batch'),
    seed: seedSchema.default(0).describe('the artefacts are bytes drawn with it'),
  }),
  result: z.object({
    steps: z.number(),
    padding_length: z.number(),
    artefact_digests: z.array(digestSchema),
  }),
  progress: { step: 'count', rss_bytes: 'bytes' },
  produces: [],
  models: () => [],
  inputs: () => [],
  estimate: (p) => ({
    device_seconds: 0.2 + (p.steps * p.step_ms) / 1000,
    memory_bytes: 6e7 + p.allocate_bytes,
    artefact_bytes: p.artefacts * p.artefact_bytes,
  }),
  interactive: {
    largest: { milliseconds: 60_000, bytes: 10_000_000 },
    of: (p) => ({
      milliseconds: p.lane === 'interactive' ? p.steps * p.step_ms : Number.POSITIVE_INFINITY,
      bytes: p.allocate_bytes + p.artefacts * p.artefact_bytes + p.padding.length,
    }),
  },
  retention_days: 1,
});
