/** Lookahead-fair predictors as the API takes them: one document for every structural model they are made for. */
import { z } from 'zod';
import { columnNameSchema } from '../../contracts/column-name.ts';
import { inputSchema } from '../predictors/input.ts';

export const scmSchema = z.strictObject({
  values: z.array(z.number()).min(2).max(32).describe('values of the sensitive attribute'),
  status: columnNameSchema,
  variables: z
    .array(
      z.strictObject({
        name: columnNameSchema,
        intercept: z.number().default(0),
        parents: z.record(columnNameSchema, z.number()).default({}),
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

const MOST_VALUES = 32;
const labels = (most: number) =>
  z.array(z.string().max(1000)).min(2).max(most).describe('cell of the attribute column for each value, in order');
const attributeSchema = (most = MOST_VALUES) => z.strictObject({ name: columnNameSchema, labels: labels(most) });
const noiseSchema = z
  .strictObject({ mean: z.number().default(0), variance: z.number().min(0).default(1) })
  .default({ mean: 0, variance: 1 })
  .describe('prior of the status’s own U where the status is not observed');

/** What every lookahead score has: the reaction it is made for and the part of it that is free. */
const score = {
  eta: z.number().describe('strength of the reaction, above 0'),
  rho: z
    .number()
    .default(1)
    .describe('share of the gap to remove: 1 removes the future gap, 0 leaves it, above 1 it overshoots, at most 2'),
  p2: z.number().default(0).describe('coefficient of the counterfactual status'),
  p3: z.number().default(0),
};
const statusObserved = z.boolean().default(false).describe('rows carry the status, so that all of U is known');

const outerSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('quadratic') }),
    z.strictObject({ kind: z.literal('power'), exponent: z.number().gt(1).max(2) }),
    z.strictObject({
      kind: z.literal('knots'),
      at: z.array(z.number()).min(2).max(200).describe('statuses, increasing'),
      slopes: z.array(z.number()).min(2).max(200).describe('the derivative there, not decreasing'),
    }),
  ])
  .describe(
    'convex function of the counterfactual status that the score is made of; quadratic where left out. With others, and with a curved status, how much smaller the gap gets differs between people: predictions carry it for each',
  );

export const lookaheadDocumentSchema = z.strictObject({
  kind: z.literal('lookahead'),
  scm: scmSchema,
  attribute: attributeSchema(),
  ...score,
  status_observed: statusObserved,
  noise: noiseSchema,
  path: z
    .strictObject({
      fair: z.array(columnNameSchema).max(500).describe('variables whose direct attribute effect is fair'),
      frozen: z.boolean().default(false).describe('these variables do not react'),
    })
    .optional(),
  outer: outerSchema.optional(),
  curve: z
    .strictObject({ scale: z.number().positive(), exponent: z.number().gt(0).lt(1) })
    .optional()
    .describe('post-nonlinear status: the model’s status is an index V, rows carry scale V^exponent'),
  lowest: z
    .number()
    .positive()
    .optional()
    .describe(
      'least index (status, without a curve) of any world, where `curve` or a power is used; rows below are refused',
    ),
  free: z.record(columnNameSchema, z.number()).default({}).describe('coefficient of each variable’s U in h'),
});

export const multiplicativeDocumentSchema = z
  .strictObject({
    kind: z.literal('lookahead_multiplicative'),
    attribute: attributeSchema(2),
    values: z.tuple([z.number(), z.number()]).describe('the two values of the attribute, neither of them 0'),
    features: z
      .array(
        z.strictObject({
          name: columnNameSchema,
          weight: z.number().describe('w: of the feature in the status'),
          alpha: z.number().describe('factor of the feature’s own U'),
        }),
      )
      .min(1)
      .max(500),
    status: z.strictObject({
      name: columnNameSchema,
      intercept: z.number().default(0),
      gamma: z.number().default(0).describe('factor of the status’s own U'),
    }),
    ...score,
    status_observed: statusObserved,
    noise: noiseSchema,
    free: z
      .number()
      .default(0)
      .describe('coefficient of the status’s U in h; terms in other U would break the promise'),
  })
  .describe('the attribute scales the features: X = a (alpha U + beta)');

const equation = {
  name: columnNameSchema,
  intercept: z.number().default(0),
  effects: z.array(z.number()).min(2).max(MOST_VALUES).describe('of the attribute, one per label'),
  covariates: z.array(z.number()).max(4096).default([]).describe('weight of each feature of the covariates'),
  weight: z.number().describe('of the latent variable'),
};
export const latentDocumentSchema = z
  .strictObject({
    kind: z.literal('lookahead_latent'),
    attribute: attributeSchema(),
    covariates: z.array(inputSchema).max(20).default([]).describe('observed columns that act beside the attribute'),
    children: z
      .array(
        z.discriminatedUnion('family', [
          z.strictObject({ family: z.literal('gaussian'), ...equation, deviation: z.number().positive() }),
          z
            .strictObject({ family: z.literal('poisson'), ...equation })
            .describe('a count; the equation is of its log rate'),
        ]),
      )
      .min(1)
      .max(10),
    status: z.strictObject({
      ...equation,
      deviation: z
        .number()
        .positive()
        .nullable()
        .default(null)
        .describe('of its residual, where rows carry the status; null where they do not'),
    }),
    ...score,
    free: z.number().default(0).describe('coefficient of the latent variable in h'),
  })
  .describe('one latent variable K ~ N(0, 1) behind the children and the status; it is what people can move');

export type ScmDocument = z.output<typeof scmSchema>;
export type LookaheadDocument = z.output<typeof lookaheadDocumentSchema>;
export type MultiplicativeDocument = z.output<typeof multiplicativeDocumentSchema>;
export type LatentDocument = z.output<typeof latentDocumentSchema>;
