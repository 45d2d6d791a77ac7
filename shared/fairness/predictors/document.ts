/** A predictor as the API takes it and as it is stored: immutable JSON, compiled before use. */
import { z } from 'zod';
import { longArray } from '../../contracts/long-array.ts';
import { latentDocumentSchema, lookaheadDocumentSchema, multiplicativeDocumentSchema } from '../lookahead/document.ts';
import { groupThresholdsShape, scoreColumnSchema } from '../thresholds/document.ts';
import { inputSchema } from './input.ts';
import { ACTIVATIONS } from './network.ts';

const vector = (most: number) => longArray(z.number()).min(1).max(most);
const rowsOf = (mostRows: number, mostCols: number) => longArray(vector(mostCols)).min(1).max(mostRows);

/** Networks that a document holds: so many layers at most, of so many outputs and inputs. */
export const NETWORK_LIMITS = { layers: 16, outputs: 1024, inputs: 4096 } as const;

const networkDocumentSchema = z.strictObject({
  kind: z.literal('network'),
  inputs: z.array(inputSchema).min(1).max(1000),
  layers: z
    .array(
      z.strictObject({
        weights: rowsOf(NETWORK_LIMITS.outputs, NETWORK_LIMITS.inputs).describe('outputs x inputs'),
        bias: vector(NETWORK_LIMITS.outputs),
        activation: z.enum(ACTIVATIONS),
      }),
    )
    .min(1)
    .max(NETWORK_LIMITS.layers)
    .describe('the edited network, folded: nothing but its weights differs from the one it was made of'),
});

const gatedDocumentSchema = z.strictObject({
  kind: z.literal('gated'),
  inputs: z.array(inputSchema).min(1).max(1000),
  link: z.enum(['logistic', 'identity']).default('logistic'),
  gate: rowsOf(64, 4097).describe('K x (features + 1), intercept last'),
  heads: rowsOf(64, 4097).describe('K x (features + 1), intercept last'),
  pooled: vector(4097).describe('features + 1, intercept last'),
  serving: z
    .array(z.number().int().min(-1).max(63))
    .max(64)
    .optional()
    .describe('head that serves each group; -1 is the pooled one'),
});

const groupThresholdsDocumentSchema = z
  .strictObject({
    ...groupThresholdsShape,
    base: z
      .union([scoreColumnSchema, networkDocumentSchema, gatedDocumentSchema])
      .describe('what gives the scores: a column of the table, or a predictor'),
  })
  .describe('decisions by thresholds of their own for every group, mixed at random by seeded coins');

export const predictorDocumentSchema = z.discriminatedUnion('kind', [
  networkDocumentSchema,
  gatedDocumentSchema,
  lookaheadDocumentSchema,
  multiplicativeDocumentSchema,
  latentDocumentSchema,
  groupThresholdsDocumentSchema,
]);
export type PredictorDocument = z.output<typeof predictorDocumentSchema>;
export type NetworkDocument = z.output<typeof networkDocumentSchema>;
export type GatedDocument = z.output<typeof gatedDocumentSchema>;
export type GroupThresholdsDocument = z.output<typeof groupThresholdsDocumentSchema>;
