/** What is measured of a circuit. */
import { z } from 'zod';

const number = z.number();
const intervalSchema = z.object({
  estimate: number,
  low: number,
  high: number.describe('of a 95 % interval over pairs'),
  error: number,
});

export const taskFiguresSchema = z.object({
  pairs: number,
  clean: intervalSchema.describe('mean metric of the clean prompts'),
  corrupted: intervalSchema.describe('of the corrupted ones'),
  accuracy: number.describe('share of clean prompts whose most likely next token is an answer'),
  pairwise_accuracy: number.describe('share whose answer is likelier than the other'),
});

export const faithfulnessSchema = z.object({
  metric: number.describe('mean metric of the circuit alone'),
  normalized: intervalSchema
    .nullable()
    .describe('(F(C) - F(empty)) / (F(M) - F(empty)), with all other edges ablated; null where the two do not differ'),
  gap: number.describe('|F(M) - F(C)|'),
});

export const circuitChecksSchema = z.object({
  completeness: z.object({
    random: z.array(number).describe('|F(M without K) - F(C without K)| for random halves K of its nodes'),
    worst: z
      .object({ node: z.string(), gap: number })
      .nullable()
      .describe('the node whose loss tells the two most apart'),
  }),
  minimality: z
    .array(z.object({ node: z.string(), score: number }))
    .nullable()
    .describe('|F(C without v) - F(C)| / |F(M)| of each node; null above 64 nodes'),
});

export const besideBaseSchema = z.object({
  edge_jaccard: number.describe('edges in both, of the edges in either'),
  node_jaccard: number,
  appeared: number.describe('edges of this circuit alone'),
  vanished: number.describe("edges of the base's alone"),
  faithfulness: intervalSchema.nullable().describe("of the base's circuit in this model"),
});

export const curveSchema = z.object({
  points: z.array(faithfulnessSchema.extend({ share: number.describe('of all edges'), edges: number })),
  area: number.nullable().describe('under the curve over the share of edges'),
  distance: number.nullable().describe('between the curve and 1'),
});

export const nodeEffectSchema = z.object({
  node: z.string(),
  effect: number.describe('change of the mean metric when it is corrupted, or the first-order estimate of it'),
  low: number.nullable(),
  high: number.nullable(),
});

export const selectionSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('top'), edges: z.number().int().min(1).max(1_000_000) }),
    z.strictObject({ kind: z.literal('greedy'), edges: z.number().int().min(1).max(1_000_000) }),
    z.strictObject({ kind: z.literal('threshold'), score: z.number().min(0) }),
  ])
  .describe('of methods that score nodes, `edges` counts nodes');

export const ablationSchema = z
  .enum(['patch', 'template_mean', 'mean', 'zero'])
  .default('patch')
  .describe("what takes the place of what is left out: the corrupted twin's, means over corrupted prompts, or nothing");
export const metricSchema = z.enum(['logit_difference', 'probability_difference', 'kl']).default('logit_difference');
