/** Webhook endpoints: where a tenant's events are sent, what was sent, and the secret of jobs' own webhooks. */
import { z } from 'zod';
import { randomIdSchema } from './manifest.ts';
import { nameSchema } from './name.ts';
import { eventFilterSchema } from './webhook-event.ts';

export const webhookEndpointSchema = z.object({
  id: randomIdSchema('whe'),
  name: z.string(),
  address: z.string(),
  events: z.array(z.string()),
  scheme: z.enum(['v1', 'v1a']),
  public_keys: z.array(z.string()).describe('v1a: what deliveries verify with, newest first; v1: empty'),
  disabled_at: z.string().nullable(),
  disabled_reason: z.string().nullable(),
  created_at: z.string(),
});

export const newWebhookEndpointSchema = webhookEndpointSchema.extend({
  secret: z
    .string()
    .nullable()
    .describe('v1: the shared secret, shown this once; v1a: the public key; null in the repeat of an answer'),
});

export const createWebhookEndpointSchema = z.strictObject({
  name: nameSchema(100).default('endpoint'),
  address: z.string().min(1).max(2000).describe('https, any port'),
  events: z.array(eventFilterSchema).min(1).max(20).default(['*']),
  scheme: z.enum(['v1', 'v1a']).default('v1').describe('HMAC-SHA-256 or Ed25519'),
});

export const changeWebhookEndpointSchema = z.strictObject({
  name: nameSchema(100).optional(),
  address: z.string().min(1).max(2000).optional(),
  events: z.array(eventFilterSchema).min(1).max(20).optional(),
  disabled: z.boolean().optional(),
});

export const webhookDeliverySchema = z.object({
  id: randomIdSchema('evt').describe('the webhook-id that the receiver sees'),
  type: z.string(),
  created_at: z.string(),
  state: z.enum(['waiting', 'delivered', 'failed']),
  next_at: z.string().nullable(),
  attempts: z.array(
    z.object({ at: z.string(), took_ms: z.number(), status: z.number().nullable(), detail: z.string() }),
  ),
});

export const webhookSecretSchema = z.object({ secret: z.string().describe('whsec_ and base64') });

export const rotateWebhookSecretSchema = z.strictObject({
  overlap_s: z.number().int().min(0).max(2_592_000).default(86_400),
});
export const webhookTestSchema = z.object({ delivery: randomIdSchema('evt') });
/** Every try to deliver a job's own webhook. */
export const jobDeliveriesSchema = z.object({
  data: z.array(z.object({ at: z.string(), status: z.number().nullable(), detail: z.string() })),
});
