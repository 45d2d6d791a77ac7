/** `fairness.predict`: a registered predictor over a table of any size. */
import { z } from 'zod';
import { predictorIdSchema } from '../contracts/manifest.ts';
import { tableInput, tableReportSchema, tableSourceSchema } from '../contracts/table.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';

export default defineJob({
  type: 'fairness.predict',
  summary: 'Predict for every row of a table',
  version: 1,
  scope: 'jobs:write',
  example: { table: { artefact: EXAMPLE.artefact }, predictor: EXAMPLE.predictor },
  params: z.strictObject({
    table: tableSourceSchema,
    predictor: predictorIdSchema,
    format: z.enum(['csv', 'arrow']).default('csv').describe('of the artefact that holds the predictions'),
  }),
  result: z.object({
    table: tableReportSchema,
    parts_file: z
      .string()
      .nullable()
      .describe(
        'where `table` and `unknown_levels` do not all fit into a result: the artefact of JSON that holds them whole; here stand the first entries of every list',
      ),
    columns: z.array(z.string()),
    artefact: z.string().describe('name of the artefact with the predictions, one row per row'),
    rows_per_s: z.number(),
    unknown_levels: z
      .array(z.object({ column: z.string(), rows: z.number().int() }))
      .describe('rows whose level of a column the predictor does not know and took as none of its levels'),
  }),
  progress: {},
  produces: [],
  models: () => [],
  inputs: (p) => [...tableInput(p.table), { id: p.predictor, pointer: '/predictor' }],
  estimate: () => ({ device_seconds: 3, memory_bytes: 4e8, artefact_bytes: 1e7 }),
  retention_days: 30,
  sensitive_inputs: true,
});
