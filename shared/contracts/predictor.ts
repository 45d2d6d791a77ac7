/** Small tables sent to a predictor, and its answer. */
import { z } from 'zod';
import { predictorIdSchema } from './manifest.ts';

export const predictionsSchema = z.object({
  predictor: predictorIdSchema,
  rows: z.number().int(),
  scores: z.array(z.number()),
  decisions: z
    .array(z.number().int())
    .optional()
    .describe('1 where accepted, by a seeded coin whose probability is the score (group thresholds)'),
  routed: z.array(z.number().int()).optional().describe('learned group of every row (gated predictors)'),
  present_gap: z.array(z.number()).optional().describe('|gap| to the counterfactual worlds now (lookahead predictors)'),
  future_gap: z.array(z.number()).optional().describe('the same after the reaction'),
  unknown_levels: z
    .array(z.object({ column: z.string(), rows: z.number().int() }))
    .optional()
    .describe('rows whose level of a column the predictor does not know and took as none of its levels'),
});

export const predictionTableSchema = z.strictObject({
  columns: z
    .record(z.string(), z.array(z.unknown()))
    .meta({ example: { age: [31, 52], sex: ['f', 'm'] } })
    .describe('cells by column: numbers, texts, booleans or null, equally many in every column'),
});
