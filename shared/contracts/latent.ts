/**
 * What is known of the latents of an SAE: measured on held-out text when it is trained, stored in shards beside its weights.
 * Both signs of a code are poles of their own; nothing here assumes that codes are positive.
 */
import { z } from 'zod';

/** A token of a context with the latent's code there. */
const contextTokenSchema = z.strictObject({ text: z.string(), code: z.number() });
const contextSchema = z.strictObject({
  /** Index in `tokens` of the token that the context was chosen for. */
  at: z.number().int().nonnegative(),
  tokens: z.array(contextTokenSchema),
});
const tokenEffectSchema = z.strictObject({ text: z.string(), logit: z.number() });

export const latentSchema = z.strictObject({
  latent: z.number().int().nonnegative(),
  density: z.strictObject({
    positive: z.number().describe('share of tokens with a positive code'),
    negative: z.number(),
  }),
  /** Largest and smallest code that was seen (0 where the sign did not occur). */
  maximum: z.number(),
  minimum: z.number(),
  mean_magnitude: z.number().describe('mean |code| over the tokens on which it is not 0'),
  contexts: z.strictObject({ positive: z.array(contextSchema), negative: z.array(contextSchema) }),
  promotes: z.array(tokenEffectSchema).describe('tokens whose logits a positive code raises most, per unit of code'),
  suppresses: z.array(tokenEffectSchema),
  nearest: z
    .array(z.strictObject({ latent: z.number().int().nonnegative(), cosine: z.number() }))
    .describe('latents with the largest |cosine| of decoder rows'),
  histogram: z.strictObject({
    low: z.number(),
    high: z.number(),
    counts: z.array(z.number().int()).describe('of codes other than 0, in bins of equal width from low to high'),
  }),
});
export type Latent = z.infer<typeof latentSchema>;

/** Numbers of all latents that lists are sorted by; column i belongs to latent i. */
export const latentIndexSchema = z.strictObject({
  count: z.number().int().positive(),
  /** Latents of one shard; latent n lies in shard floor(n / shard). */
  shard: z.number().int().positive(),
  tokens: z.number().int().positive(),
  columns: z.strictObject({
    positive: z.array(z.number()),
    negative: z.array(z.number()),
    maximum: z.array(z.number()),
    minimum: z.array(z.number()),
  }),
});
export type LatentIndex = z.infer<typeof latentIndexSchema>;

export const LATENT_INDEX_BLOB = 'latents.index.json';
export const latentShardBlob = (shard: number): string => `latents.${shard}.json`;
/** Latents per shard: small enough that one latent's dashboard is read in one go. */
export const LATENTS_PER_SHARD = 256;

export const LATENT_SORTS = ['latent', 'density', 'minority_share', 'magnitude'] as const;
type LatentSort = (typeof LATENT_SORTS)[number];

/** Latents in the order of a list: by number, or by the named quantity from the largest down, equal ones by number. */
export function latentOrder({ count, columns }: LatentIndex, sort: LatentSort): number[] {
  const { positive, negative, maximum, minimum } = columns;
  const value = (i: number): number => {
    const [up, down] = [positive[i]!, negative[i]!];
    switch (sort) {
      case 'latent':
        return 0;
      case 'density':
        return up + down;
      case 'minority_share':
        return up + down > 0 ? Math.min(up, down) / (up + down) : 0;
      case 'magnitude':
        return Math.max(maximum[i]!, -minimum[i]!);
      default:
        return sort satisfies never;
    }
  };
  return Array.from({ length: count }, (_, i) => i).sort((a, b) => value(b) - value(a) || a - b);
}

export const latentSummarySchema = z.object({
  latent: z.number(),
  positive: z.number().describe('share of tokens with a positive code'),
  negative: z.number(),
  maximum: z.number(),
  minimum: z.number(),
});
