/** A predictor as the API takes it and as it is stored: immutable JSON, compiled before use. */
import { z } from 'zod';
import { ACTIVATIONS } from './network.ts';

const nameSchema = z.string().min(1).max(200);
const numberSchema = z.number();
const vector = (most: number) => z.array(numberSchema).min(1).max(most);
const rowsOf = (mostRows: number, mostCols: number) => z.array(vector(mostCols)).min(1).max(mostRows);

/** How one column of a table becomes features: a standardised number, or one indicator per level. */
export const inputSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('number'),
    name: nameSchema,
    mean: z.number().default(0).describe('subtracted first'),
    scale: z.number().positive().default(1).describe('divided by next'),
    missing: z.number().nullable().default(null).describe('value of a missing cell; null: missing cells are refused'),
  }),
  z.strictObject({
    kind: z.literal('category'),
    name: nameSchema,
    levels: z.array(z.string().max(1000)).min(1).max(1000).describe('one 0/1 feature per level, in this order'),
    unknown: z
      .enum(['refuse', 'zeros'])
      .default('refuse')
      .describe('what a level not listed, or a missing cell, becomes'),
  }),
]);
export type InputEncoding = z.output<typeof inputSchema>;

export const networkDocumentSchema = z.strictObject({
  kind: z.literal('network'),
  inputs: z.array(inputSchema).min(1).max(1000),
  layers: z
    .array(
      z.strictObject({
        weights: rowsOf(1024, 4096).describe('outputs x inputs'),
        bias: vector(1024),
        activation: z.enum(ACTIVATIONS),
      }),
    )
    .min(1)
    .max(16)
    .describe('the edited network, folded: nothing but its weights differs from the one it was made of'),
});

export const gatedDocumentSchema = z.strictObject({
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

export const scmSchema = z.strictObject({
  values: z.array(z.number()).min(2).max(32).describe('values of the sensitive attribute'),
  status: nameSchema,
  variables: z
    .array(
      z.strictObject({
        name: nameSchema,
        intercept: z.number().default(0),
        parents: z.record(nameSchema, z.number()).default({}),
        effects: z
          .union([z.number(), z.array(z.number()).max(32)])
          .default(0)
          .describe('direct effect of the attribute: one number per value, or one number times the value'),
        scale: z.number().default(1).describe('factor of the variable’s own exogenous U'),
      }),
    )
    .min(1)
    .max(500),
});

export const lookaheadDocumentSchema = z.strictObject({
  kind: z.literal('lookahead'),
  scm: scmSchema,
  attribute: z.strictObject({
    name: nameSchema,
    labels: z
      .array(z.string().max(1000))
      .min(2)
      .max(32)
      .describe('cell of the attribute column for each value, in order'),
  }),
  eta: z.number().describe('strength of the reaction, above 0'),
  rho: z.number().default(1).describe('share of the gap to remove: 1 removes the future gap, 0 leaves it'),
  status_observed: z.boolean().default(false).describe('rows carry the status, so that all of U is known'),
  noise: z
    .strictObject({ mean: z.number().default(0), variance: z.number().min(0).default(1) })
    .default({ mean: 0, variance: 1 })
    .describe('prior of the status’s own U where the status is not observed'),
  path: z
    .strictObject({
      fair: z.array(nameSchema).max(500).describe('variables whose direct attribute effect is fair'),
      frozen: z.boolean().default(false).describe('these variables do not react'),
    })
    .optional(),
  p2: z.number().default(0),
  p3: z.number().default(0),
  free: z.record(nameSchema, z.number()).default({}).describe('coefficient of each variable’s U in h'),
});

export const predictorDocumentSchema = z.discriminatedUnion('kind', [
  networkDocumentSchema,
  gatedDocumentSchema,
  lookaheadDocumentSchema,
]);
export type PredictorDocument = z.output<typeof predictorDocumentSchema>;
export type NetworkDocument = z.output<typeof networkDocumentSchema>;
export type GatedDocument = z.output<typeof gatedDocumentSchema>;
export type LookaheadDocument = z.output<typeof lookaheadDocumentSchema>;
export type ScmDocument = z.output<typeof scmSchema>;
export const PREDICTOR_KINDS = ['network', 'gated', 'lookahead'] as const;
export type PredictorKind = (typeof PREDICTOR_KINDS)[number];
