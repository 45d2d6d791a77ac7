/** Events that webhook endpoints are told of. Payloads are thin: the receiver asks the API for the rest. */
import { z } from 'zod';
import { digestSchema, randomIdSchema } from './manifest.ts';

const event = <T extends string, D extends z.ZodRawShape>(type: T, data: D) =>
  z.object({
    type: z.literal(type),
    timestamp: z.string().describe('when it happened, RFC 3339'),
    data: z.object(data),
  });

const job = <S extends string>(status: S) =>
  event(`job.${status}`, {
    id: randomIdSchema('job'),
    status: z.literal(status),
    result_digest: digestSchema.nullable().describe('of the result as canonical JSON; null without a result'),
  });
const run = <T extends string, S extends string>(name: T, status: S) =>
  event(`run.${name}`, {
    id: randomIdSchema('run'),
    status: z.literal(status),
    hook: randomIdSchema('inh'),
    recipe: randomIdSchema('rcp'),
    version: z.number().int(),
  });

/** Each type's payload. */
export const WEBHOOK_EVENTS = {
  'job.succeeded': job('succeeded'),
  'job.failed': job('failed'),
  'job.canceled': job('canceled'),
  'run.started': run('started', 'running'),
  'run.succeeded': run('succeeded', 'succeeded'),
  'run.failed': run('failed', 'failed'),
  'run.canceled': run('canceled', 'canceled'),
  'endpoint.disabled': event('endpoint.disabled', {
    id: randomIdSchema('whe'),
    reason: z.enum(['gone', 'failing', 'caller']).describe('410 was answered; five days without a success; asked for'),
  }),
  'endpoint.test': event('endpoint.test', { id: randomIdSchema('whe') }),
} as const;
type WebhookEventType = keyof typeof WEBHOOK_EVENTS;
const WEBHOOK_EVENT_TYPES = Object.keys(WEBHOOK_EVENTS) as WebhookEventType[];

/** `job.succeeded`, `job.*` or `*`. */
export const eventFilterSchema = z
  .string()
  .max(60)
  .refine(
    (filter) => filter === '*' || WEBHOOK_EVENT_TYPES.some((type) => matches(filter, type)),
    `an event type, its family with .*, or *; the types are ${WEBHOOK_EVENT_TYPES.join(', ')}`,
  );

export function matches(filter: string, type: string): boolean {
  return filter === '*' || filter === type || (filter.endsWith('.*') && type.startsWith(filter.slice(0, -1)));
}
