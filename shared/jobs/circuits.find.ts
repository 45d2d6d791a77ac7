/** `circuits.find`: which heads, MLPs and edges of a model carry a task? */
import { z } from 'zod';
import {
  ablationSchema,
  besideBaseSchema,
  circuitChecksSchema,
  curveSchema,
  faithfulnessSchema,
  metricSchema,
  nodeEffectSchema,
  selectionSchema,
  taskFiguresSchema,
} from '../contracts/circuit.ts';
import { circuitTaskSchema } from '../contracts/circuit-task.ts';
import { reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';
import { modelInput, taskInput } from './references.ts';

const methodSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('exact'),
      level: z.enum(['nodes', 'edges']).default('nodes'),
      direction: z
        .enum(['corrupt', 'restore'])
        .default('corrupt')
        .describe('of nodes: corrupted in the clean run, or as in the clean run in the corrupted one'),
    }),
    z.strictObject({
      kind: z.literal('path'),
      mlps: z.enum(['frozen', 'recomputed']).default('recomputed'),
      receivers: z
        .array(z.string().regex(/^(a\d+\.h\d+<[qkv]>|m\d+|logits)$/, 'a reader such as a9.h6<q>, m3 or logits'))
        .min(1)
        .max(1000)
        .default(['logits']),
    }),
    z.strictObject({ kind: z.literal('direct') }),
    z.strictObject({ kind: z.literal('eap') }),
    z.strictObject({
      kind: z.literal('eap_ig'),
      steps: z.number().int().min(1).max(100).default(5),
      between: z.enum(['inputs', 'activations']).default('inputs'),
    }),
    z.strictObject({ kind: z.literal('acdc'), threshold: z.number().positive() }),
  ])
  .default({ kind: 'eap_ig', steps: 5, between: 'inputs' })
  .describe(
    'exact: one run for each node or edge; path: along paths to the receivers alone; direct: to the logits by formula; ' +
      'eap, eap_ig: first-order scores of all edges; acdc: edges taken out one after the other',
  );

export default defineJob({
  type: 'circuits.find',
  summary: 'Find the circuit that carries a task',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, task: { ioi: { pairs: 120 } } },
  params: z.strictObject({
    model: modelReferenceSchema,
    task: circuitTaskSchema,
    bos: z
      .boolean()
      .nullable()
      .default(null)
      .describe('whether prompts begin with the beginning-of-sequence token; null: as the tokenizer does'),
    metric: metricSchema,
    method: methodSchema,
    positions: z.array(z.string().min(1).max(40)).min(1).max(20).nullable().default(null).describe('null: all'),
    ablation: ablationSchema,
    selection: selectionSchema.default({ kind: 'top', edges: 200 }),
    absolute: z
      .boolean()
      .default(true)
      .describe('select by the size of scores; false: by how much corrupting lowers the metric'),
    base: reportIdSchema
      .nullable()
      .default(null)
      .describe(
        'report of circuits.find for the same pairs on a model of the same shape: what appeared and vanished since',
      ),
    curve: z.boolean().default(true).describe('faithfulness over 0.1 to 100 % of the edges'),
    batch: z.number().int().min(1).max(256).default(32),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    report: reportIdSchema,
    task: taskFiguresSchema,
    ablation: z.string(),
    nodes: z.array(z.string()).describe('of the circuit'),
    edges: z.number().describe('of the circuit'),
    all_edges: z.number(),
    faithfulness: faithfulnessSchema,
    checks: circuitChecksSchema,
    curve: curveSchema.nullable(),
    effects: z.array(nodeEffectSchema).nullable().describe('the twenty largest'),
    base: besideBaseSchema.nullable(),
    data_digest: z.string(),
  }),
  progress: { done: 'pairs or edges done', of: 'pairs or edges', seconds_left: 's' },
  produces: ['report'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [] }],
  inputs: (p) => [
    ...modelInput(p.model),
    ...taskInput(p.task),
    ...(p.base === null ? [] : [{ id: p.base, pointer: '/base' }]),
  ],
  estimate: (p) => ({
    device_seconds: { exact: 600, acdc: 1200, path: 300, direct: 60, eap: 60, eap_ig: 120 }[p.method.kind],
    memory_bytes: 2e9,
    artefact_bytes: 2e7,
  }),
  retention_days: 30,
});
