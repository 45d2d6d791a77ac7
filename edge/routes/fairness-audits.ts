/** Audits: predictions, labels and groups in, metrics with intervals out; nothing of it is stored. */
import { createRoute, z } from '@hono/zod-openapi';
import { columnNameSchema } from '../../shared/contracts/column-name.ts';
import { longArray } from '../../shared/contracts/long-array.ts';
import { type AuditColumnsInput, auditDocument, auditOptionsSchema } from '../../shared/fairness/audit/document.ts';
import { grouping } from '../../shared/fairness/audit/groups.ts';
import { outcomes } from '../../shared/fairness/audit/labels.ts';
import { auditMs, requireFits } from '../../shared/fairness/costs.ts';
import type { App } from '../environment.ts';
import { TABLE_LIMIT } from '../http/body.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';

const MOST_ROWS = 1_000_000;
const numbers = longArray(z.number()).min(1).max(MOST_ROWS);
const labels = longArray(z.union([z.string().max(1000), z.number(), z.boolean()]))
  .min(1)
  .max(MOST_ROWS);

const auditRequestSchema = auditOptionsSchema
  .extend({
    predictions: numbers,
    labels: labels
      .optional()
      .describe('outcomes: numbers; for classification 0 or 1, true or false, or texts with a `positive`'),
    groups: z
      .record(columnNameSchema, labels)
      .describe('group labels by attribute; the intersection of all is audited too'),
    routing: z
      .strictObject({ routed: numbers, heads: z.array(numbers).min(2).max(65) })
      .optional()
      .describe('learned group of every row and scores of every head, the pooled one last: rationality and envy gaps'),
    counterfactual_predictions: numbers.optional().describe('score of the same person in the counterfactual world'),
    futures: z
      .strictObject({
        present: numbers,
        present_counterfactual: numbers,
        future: numbers,
        future_counterfactual: numbers,
      })
      .optional()
      .describe('status now and after the reaction in both worlds: present gap and average future causal effect'),
  })
  .openapi('AuditRequest');

const measuredSchema = z
  .object({
    metric: z.string(),
    threshold: z.number().optional(),
    estimate: z.number().nullable(),
    low: z.number().nullable(),
    high: z.number().nullable(),
    standard_error: z.number().nullable(),
    reason: z.string().optional().describe('why there is no estimate'),
  })
  .openapi('Measured');
const sizedGroup = z.object({ level: z.string(), count: z.number().int() });
const auditSchema = z
  .object({
    rows: z.number().int(),
    task: z.enum(['regression', 'classification']),
    method: z.object({
      intervals: z.string(),
      tests: z.string(),
      level: z.number(),
      draws: z.number(),
      permutations: z.number(),
      seed: z.number(),
      minimum_group: z.number(),
    }),
    attributes: z.array(
      z.object({
        attribute: z.string(),
        groups: z.array(sizedGroup.extend({ metrics: z.array(measuredSchema) })),
        excluded: z.array(sizedGroup).describe('groups below the minimum size: nothing is claimed of them'),
        pairs: z.array(
          z.object({
            a: z.string(),
            b: z.string(),
            ks_noise_floor: z
              .number()
              .describe('KS distance that equal groups of these sizes exceed in 5 % of samples'),
            metrics: z.array(measuredSchema),
            tests: z.array(
              z.object({ metric: z.string(), threshold: z.number().optional(), p: z.number(), p_holm: z.number() }),
            ),
          }),
        ),
        overall: z.array(measuredSchema).describe('largest absolute gap over pairs'),
      }),
    ),
    preferences: z
      .object({
        loss: z.enum(['error', 'squared_error']),
        groups: z.array(
          z.object({
            group: z.number().int(),
            count: z.number().int(),
            own: measuredSchema,
            pooled: measuredSchema,
            rationality: measuredSchema,
            envy: measuredSchema.nullable(),
          }),
        ),
        without_harm_rate: z.number(),
        worst_gap: z.number(),
        demographics: z.array(
          z.object({
            attribute: z.string(),
            mutual_information: z.number().describe('of learned group and attribute, in nats'),
            groups: z.array(
              sizedGroup.extend({ rationality: measuredSchema, harmed: z.boolean(), routing: z.array(z.number()) }),
            ),
            excluded: z.array(sizedGroup).describe('groups below the minimum size: nothing is claimed of them'),
          }),
        ),
      })
      .optional(),
    counterfactual_gap: measuredSchema.optional(),
    lookahead: z
      .object({ present_gap: measuredSchema, future_gap: measuredSchema, improvement: z.number().nullable() })
      .optional(),
  })
  .openapi('Audit');

const create = createRoute({
  ...keyedBody('fairness:compute', 'reads', TABLE_LIMIT, 'fairness.audit'),
  method: 'post',
  path: '/v1/fairness/audits',
  tags: ['fairness'],
  summary: 'Measure how a predictor treats groups',
  description:
    'Bootstrap (BCa) intervals and permutation p-values for every metric. Too much for the edge: create a job of type fairness.audit.',
  request: { body: jsonRequest(auditRequestSchema) },
  responses: {
    200: json(auditSchema, 'The audit'),
    ...problems(...KEYED, ...BODY, 'data_invalid', 'computation_too_large'),
  },
});

export default function registerFairnessAudits(app: App): void {
  app.openapi(create, (c) => {
    const {
      predictions,
      labels: labelled,
      groups,
      routing,
      counterfactual_predictions,
      futures,
      ...options
    } = c.req.valid('json');
    const attributes = Object.entries(groups);
    const levels = attributes.map(([, column]) => new Set(column).size);
    // No more combinations occur than there are rows.
    const combined = Math.min(
      predictions.length,
      levels.reduce((a, b) => a * b, 1),
    );
    const intersected = options.intersections && levels.length > 1 ? [combined] : [];
    requireFits(
      auditMs({
        rows: predictions.length,
        groups: [...levels, ...intersected],
        draws: options.draws,
        permutations: options.permutations,
        thresholds: options.thresholds?.length ?? 1,
        labelled: labelled !== undefined,
        heads: routing?.heads.length ?? 0,
      }),
      'fairness.audit',
    );
    const input: AuditColumnsInput = {
      predictions: Float64Array.from(predictions),
      ...(labelled && { labels: outcomes(labelled, options.positive) }),
      groups: attributes.map(([name, column]) => grouping(name, column)),
      ...(routing && { routing: { routed: routing.routed, heads: routing.heads.map((h) => Float64Array.from(h)) } }),
      ...(counterfactual_predictions && { counterfactual: Float64Array.from(counterfactual_predictions) }),
      ...(futures && {
        futures: {
          present: Float64Array.from(futures.present),
          presentOther: Float64Array.from(futures.present_counterfactual),
          future: Float64Array.from(futures.future),
          futureOther: Float64Array.from(futures.future_counterfactual),
        },
      }),
    };
    c.header('cache-control', 'no-store');
    return c.json(auditDocument(input, options), 200);
  });
}
