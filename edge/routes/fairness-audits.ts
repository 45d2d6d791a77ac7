/** Audits: predictions, labels and groups in, metrics with intervals out; nothing of it is stored. */
import { createRoute } from '@hono/zod-openapi';
import { TABLE_LIMIT } from '../../shared/contracts/body-limit.ts';
import { jsonPointer } from '../../shared/contracts/problem.ts';
import { type AuditColumnsInput, auditDocument } from '../../shared/fairness/audit/document.ts';
import { grouping, intersection } from '../../shared/fairness/audit/groups.ts';
import { outcomes } from '../../shared/fairness/audit/labels.ts';
import { auditRequestSchema, auditSchema } from '../../shared/fairness/audit/request.ts';
import { auditMs, requireFits } from '../../shared/fairness/costs.ts';
import type { App } from '../environment.ts';
import { BODY, json, jsonRequest, KEYED, keyedBody, problems } from '../http/declaration.ts';

const auditRequestBody = auditRequestSchema.openapi('AuditRequest');

const auditBody = auditSchema.openapi('Audit');

const create = createRoute({
  ...keyedBody('fairness:compute', 'reads', TABLE_LIMIT, 'fairness.audit'),
  method: 'post',
  path: '/v1/fairness/audits',
  tags: ['fairness'],
  summary: 'Measure how a predictor treats groups',
  description:
    'Bootstrap (BCa) intervals and permutation p-values for every metric. Too much for the edge: create a job of type fairness.audit.',
  request: { body: jsonRequest(auditRequestBody) },
  responses: {
    200: json(auditBody, 'The audit'),
    ...problems(...KEYED, ...BODY, 'data_invalid', 'computation_too_large'),
  },
});

export default function registerFairnessAudits(app: App): void {
  app.openapi(create, (c) => {
    const {
      predictions,
      labels: labelled,
      groups,
      weights,
      controls,
      consistency,
      routing,
      counterfactual_predictions,
      futures,
      ...options
    } = c.req.valid('json');
    const attributes = Object.entries(groups);
    const controlled = Object.entries(controls ?? {});
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
        classified: options.task === 'classification',
        controlled: controlled.length > 0,
        features: consistency ? Object.keys(consistency.features).length : 0,
        heads: routing?.heads.length ?? 0,
      }),
      'fairness.audit',
    );
    const input: AuditColumnsInput = {
      predictions: Float64Array.from(predictions),
      ...(labelled && { labels: outcomes(labelled, options.positive) }),
      groups: attributes.map(([name, column]) => grouping(name, column)),
      ...(weights && { weights: Float64Array.from(weights) }),
      ...(controlled.length > 0 && {
        control: intersection(
          controlled.map(([name, column]) => grouping(name, column, jsonPointer(['controls', name]))),
        ),
      }),
      ...(consistency && {
        consistency: {
          features: Object.values(consistency.features).map((column) => Float64Array.from(column)),
          neighbours: consistency.neighbours,
        },
      }),
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
