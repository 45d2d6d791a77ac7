/** Inbound hooks: what an outside event says once its provider's form has been read, and what became of each delivery. */
import { z } from 'zod';
import { randomIdSchema } from './manifest.ts';

const PROVIDERS = ['huggingface', 'github', 'standard_webhooks'] as const;
export const providerSchema = z.enum(PROVIDERS);
export type Provider = z.infer<typeof providerSchema>;

/** What a recipe can refer to as `event.<field>`. */
export const inboundEventSchema = z.object({
  repository: z.string().nullable(),
  ref: z.string().nullable(),
  revision: z.string().nullable().describe('the new commit of the ref'),
  previous_revision: z.string().nullable().describe('the commit before; null for a new ref'),
  tag: z.string().nullable().describe('of a release'),
  delivery: z.string().describe("the sender's id of the delivery, the same for its retries and replays"),
});
export type InboundEvent = z.infer<typeof inboundEventSchema>;
export const EVENT_FIELDS = Object.keys(inboundEventSchema.shape) as (keyof InboundEvent)[];

/**
 * Why a delivery started nothing. Those of the first group are answered with a problem; the others were verified and are
 * answered 202, since providers suspend hooks that answer anything else.
 */
const DELIVERY_CODES = [
  'signature_invalid',
  'clock_skew',
  'body_malformed',
  'body_too_large',
  'validation_failed',
  'ping',
  'event_ignored',
  'ref_deleted',
  'ref_unknown',
  'repository_unknown',
  'event_incomplete',
  'hook_disabled',
  'recipe_missing',
  'key_revoked',
] as const;
export type DeliveryCode = (typeof DELIVERY_CODES)[number];

export const inboundDeliverySchema = z.object({
  id: randomIdSchema('dlv'),
  at: z.string(),
  sender_id: z.string().nullable().describe("the sender's own id of the delivery"),
  outcome: z.enum(['accepted', 'ignored', 'refused']),
  code: z.string().nullable().describe('why it was ignored or refused'),
  detail: z.string().nullable(),
  event: inboundEventSchema.nullable(),
  run: z.string().nullable().describe('the run that it started or belongs to, once that is known'),
  replay_of: z.string().nullable(),
  bytes: z.number().int(),
});
export type InboundDelivery = z.infer<typeof inboundDeliverySchema>;
