/** The field `steering` of OpenAI-shaped requests: how the model is steered while it answers. */
import { z } from 'zod';
import lmGenerate from '../jobs/lm.generate.ts';

const { runs, steer, allow_mismatch } = lmGenerate.params.shape;

export const steeringFieldSchema = runs
  .unwrap()
  .element.omit({ label: true })
  .extend({
    positions: steer.describe('positions that are steered'),
    allow_mismatch,
    beside_plain: z
      .boolean()
      .default(false)
      .describe('answer twice, steered and plain: the plain choices follow the steered ones'),
  });
