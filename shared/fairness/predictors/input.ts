/** How the columns of a table become the features of a predictor. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';

/** How one column of a table becomes features: a standardised number, or one indicator per level. */
export const inputSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('number'),
    name: columnNameSchema,
    mean: z.number().default(0).describe('subtracted first'),
    scale: z.number().positive().default(1).describe('divided by next'),
    missing: z.number().nullable().default(null).describe('value of a missing cell; null: missing cells are refused'),
  }),
  z.strictObject({
    kind: z.literal('category'),
    name: columnNameSchema,
    levels: z.array(z.string().max(1000)).min(1).max(1000).describe('one 0/1 feature per level, in this order'),
    unknown: z
      .enum(['refuse', 'zeros'])
      .default('refuse')
      .describe('what a level not listed, or a missing cell, becomes'),
    reference: z
      .string()
      .max(1000)
      .optional()
      .describe('the level that has no indicator of its own: known, and 0 in all of them'),
  }),
]);
export type InputEncoding = z.output<typeof inputSchema>;
