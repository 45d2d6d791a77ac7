/** How a model is steered: what is done to its residual stream, with which vectors, where, and when. */
import { z } from 'zod';
import { saeIdSchema } from './manifest.ts';
import { STEERING_MODES, vectorReferenceSchema } from './vector.ts';

const hookSchema = z
  .string()
  .max(60)
  .regex(/^[a-z_]+(\.\d+){1,2}$/, 'a hook point such as resid_post.2');

/** A vector that is nobody's yet. */
const inlineVectorSchema = z.strictObject({
  hook: hookSchema,
  values: z.array(z.number()).min(1).max(65_536).describe('as many as the hook is wide; not all 0'),
  residual_norm: z.number().positive().optional().describe('what strengths are multiples of; left out: 1'),
});
const steeringVectorSchema = z.union([vectorReferenceSchema, inlineVectorSchema]);
export type SteeringVector = z.infer<typeof steeringVectorSchema>;

const conditionSchema = z
  .strictObject({
    vector: steeringVectorSchema.describe('a probe of the same hook point'),
    above: z.number().describe('in units of the mean residual norm stored with the vector'),
  })
  .describe('only at positions whose projection onto the vector is above this');

const bound = z.number().optional().describe('mode cap: in units of the mean residual norm stored with the vector');

export const steeredVectorSchema = z.strictObject({
  vector: steeringVectorSchema,
  strength: z.number().min(-1000).max(1000).default(1),
  mode: z
    .enum([...STEERING_MODES, 'ablate', 'cap'])
    .nullable()
    .default(null)
    .describe(
      'null: strength times the mean residual norm stored with the vector is added; proj_unit: the part along the vector times 1 + strength; proj_raw: times 1 + strength and the squared norm of the raw vector; add: strength times the raw vector; ablate: the part along the vector goes; cap: it is brought to between `least` and `most`. The last two have no strength.',
    ),
  least: bound,
  most: bound,
  when: conditionSchema.optional(),
});

export const clampedLatentSchema = z.strictObject({
  sae: saeIdSchema,
  latent: z.number().int().min(0),
  value: z.number().min(-1e6).max(1e6).describe('what its code becomes, with its sign; what the SAE leaves over stays'),
  when: conditionSchema.optional(),
});

/** Positions of a text that is generated: those of the prompt, those after it, or tokens by their number from 0. */
export const placesSchema = z.union([
  z.enum(['all', 'prompt', 'generated']),
  z.array(z.number().int().min(0).max(1_000_000)).min(1).max(4096),
]);
