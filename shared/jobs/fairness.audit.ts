/** `fairness.audit`: the audit of the edge for tables of any size, with plots. */
import { z } from 'zod';
import { columnNameSchema, distinctNamesSchema } from '../contracts/column-name.ts';
import { reportIdSchema } from '../contracts/manifest.ts';
import { tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { auditOptionsSchema } from '../fairness/audit/document.ts';
import { defineJob } from './contract.ts';

const name = columnNameSchema;

export default defineJob({
  type: 'fairness.audit',
  summary: 'Measure how a predictor treats groups, with intervals, p-values and plots',
  version: 1,
  scope: 'jobs:write',
  example: {
    table: { columns: { score: [0, 1, 1, 0], outcome: [0, 1, 0, 0], sex: ['f', 'm', 'f', 'm'] } },
    prediction: 'score',
    label: 'outcome',
    groups: ['sex'],
  },
  params: auditOptionsSchema.extend({
    table: tableSourceSchema,
    prediction: name.describe('column of scores'),
    before: name.nullable().default(null).describe('column of scores before a correction, for the plot'),
    label: name.nullable().default(null),
    groups: distinctNamesSchema.min(1).max(8),
    weights: name.nullable().default(null).describe('column of how much every row counts, above 0'),
    controls: distinctNamesSchema
      .max(8)
      .default([])
      .describe('what may explain a difference: every attribute is audited again among rows alike in all of these'),
    consistency: z
      .strictObject({
        columns: distinctNamesSchema.min(1).max(100),
        neighbours: z.number().int().min(1).max(100).default(5).describe('the row itself among them'),
      })
      .nullable()
      .default(null)
      .describe('numbers by which people are near each other, by Euclidean distance as given: are they treated alike?'),
    routing: z
      .strictObject({ routed: name, heads: z.array(name).min(2).max(65) })
      .nullable()
      .default(null),
    counterfactual: name.nullable().default(null),
    futures: z
      .strictObject({ present: name, present_counterfactual: name, future: name, future_counterfactual: name })
      .nullable()
      .default(null),
  }),
  result: z.object({
    table: tableReportSchema,
    parts_file: z
      .string()
      .nullable()
      .describe(
        'where `table`, `overall` and `ratios` do not all fit into a result: the artefact of JSON that holds them whole; here stand the first entries of every list',
      ),
    report: reportIdSchema,
    overall: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))).describe('largest gaps by attribute'),
    ratios: z
      .record(z.string(), z.array(z.record(z.string(), z.unknown())))
      .describe('smallest ratios by attribute, with the four-fifths rule on selection rates'),
    plots: z.array(z.string()).describe('names of the SVG artefacts'),
  }),
  progress: {},
  produces: ['report'],
  models: () => [],
  inputs: (p) => tableInput(p.table),
  estimate: (p) => ({
    device_seconds: 2 + 1e-7 * 50_000 * (p.draws + p.permutations) * p.groups.length,
    memory_bytes: 4e8,
    artefact_bytes: 2e6,
  }),
  retention_days: 30,
  sensitive_inputs: true,
});
