/** Inbound hooks: which outside events start which recipe. */
import { z } from 'zod';
import { providerSchema } from './inbound.ts';
import { randomIdSchema } from './manifest.ts';
import { nameSchema } from './name.ts';

const pointerSchema = z
  .string()
  .regex(/^(\/([^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901)')
  .max(300);

export const inboundHookSchema = z.object({
  id: randomIdSchema('inh'),
  name: z.string(),
  provider: providerSchema,
  path: z.string().describe('where the provider sends to'),
  recipe: randomIdSchema('rcp'),
  recipe_version: z.number().int().nullable().describe('null: the latest at the time of an event'),
  repositories: z.array(z.string()),
  ref: z.string(),
  pointers: z.object({ repository: z.string().nullable(), revision: z.string().nullable() }),
  key: randomIdSchema('key').describe('its runs act with the scopes and limits of this key'),
  disabled: z.boolean(),
  secrets: z
    .array(z.object({ created_at: z.string(), expires_at: z.string().nullable() }))
    .describe('live ones, newest first'),
  created_at: z.string(),
});

export const newInboundHookSchema = inboundHookSchema.extend({
  secret: z.string().nullable().describe('shown this once: null in the repeat of an answer'),
});

export const createInboundHookSchema = z.strictObject({
  name: nameSchema(100),
  provider: providerSchema,
  recipe: randomIdSchema('rcp'),
  recipe_version: z.number().int().min(1).nullable().default(null),
  repositories: z
    .array(z.string().min(1).max(200))
    .max(100)
    .default([])
    .describe('owner/name; data sets and spaces of the Hub as datasets/owner/name; empty: whatever the sender sends'),
  ref: z.string().min(1).max(300).default('refs/heads/main'),
  pointers: z
    .strictObject({
      repository: pointerSchema.nullable().default(null),
      revision: pointerSchema.nullable().default(null),
    })
    .default({ repository: null, revision: null })
    .describe('standard_webhooks: where the payload names repository and revision'),
  secret: z.string().min(1).max(300).optional().describe('made here unless given'),
});

export const inboundAnswerSchema = z.object({
  delivery: randomIdSchema('dlv'),
  outcome: z.enum(['accepted', 'ignored']),
  error: z.object({ code: z.string(), detail: z.string() }).nullable().describe('why it starts nothing'),
});

export const changeInboundHookSchema = z.strictObject({ disabled: z.boolean() });
export const rotateInboundSecretSchema = z.strictObject({
  overlap_s: z.number().int().min(0).max(2_592_000).default(86_400),
  secret: z.string().min(1).max(300).optional(),
});
