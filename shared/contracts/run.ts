/** A run of a recipe as the API shows it. */
import { z } from 'zod';
import { inboundEventSchema } from './inbound.ts';
import { randomIdSchema } from './manifest.ts';

export const runStatusSchema = z.enum(['running', 'succeeded', 'failed', 'canceled']);
export type RunStatus = z.infer<typeof runStatusSchema>;
const stepStatusSchema = z.enum(['waiting', 'running', 'succeeded', 'failed', 'skipped', 'canceled']);
export type StepStatus = z.infer<typeof stepStatusSchema>;
const stepErrorSchema = z.object({ code: z.string(), detail: z.string() });
export type StepError = z.infer<typeof stepErrorSchema>;

export const runSchema = z.object({
  id: randomIdSchema('run'),
  hook: randomIdSchema('inh'),
  recipe: randomIdSchema('rcp'),
  version: z.number().int(),
  status: runStatusSchema,
  error: stepErrorSchema.nullable(),
  event: inboundEventSchema,
  replay: z.string().nullable().describe('the delivery whose replay this run is'),
  created_at: z.string(),
  ended_at: z.string().nullable(),
  expires_at: z.string().nullable(),
  steps: z.array(
    z.object({
      id: z.string(),
      type: z.string(),
      status: stepStatusSchema,
      error: stepErrorSchema.nullable(),
      jobs: z
        .array(z.object({ id: randomIdSchema('job'), status: z.string(), error: stepErrorSchema.nullable() }))
        .describe('in the order of the list that the step goes over'),
    }),
  ),
});
export const runSummarySchema = runSchema.omit({ steps: true });
export type RunView = z.infer<typeof runSchema>;

/** A frame of a run's event stream. */
export const runEventSchema = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('status'),
    id: z.number().int(),
    data: z.object({ status: runStatusSchema, at: z.string(), error: stepErrorSchema.nullable() }),
  }),
  z.object({
    event: z.literal('step'),
    id: z.number().int(),
    data: z.object({ step: z.string(), status: stepStatusSchema, at: z.string(), error: stepErrorSchema.nullable() }),
  }),
]);
export type RunEvent = z.infer<typeof runEventSchema>;
