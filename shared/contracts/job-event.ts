/** Frames of `GET /v1/jobs/{id}/events` (server-sent events): `id` is the sequence number, `event` the kind. */
import { z } from 'zod';
import { jobErrorSchema, jobStatusSchema, progressSchema } from './job.ts';
import { tokenPieceSchema } from './token-piece.ts';

export const jobEventSchema = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('status'),
    id: z.number().int().positive(),
    data: z.object({
      status: jobStatusSchema,
      attempt: z.number().int().nonnegative(),
      at: z.string(),
      error: jobErrorSchema.nullable(),
    }),
  }),
  z.object({
    event: z.literal('progress'),
    id: z.number().int().positive(),
    data: progressSchema.extend({ attempt: z.number().int().positive(), at: z.string() }),
  }),
  z.object({
    event: z.literal('tokens'),
    id: z.number().int().positive(),
    data: tokenPieceSchema.extend({ attempt: z.number().int().positive() }),
  }),
]);
export type JobEvent = z.infer<typeof jobEventSchema>;

/** What every event stream is made of. */
export type Frame = { id: number; event: string; data: unknown };

/** One frame as it goes over the wire. */
export const frameOf = (event: Frame): string =>
  `id: ${event.id}\nevent: ${event.event}\ndata: ${JSON.stringify(event.data)}\n\n`;
