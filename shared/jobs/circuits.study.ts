/** `circuits.study`: what clean tuning, poison and retraining do to the circuit of a task. */
import { z } from 'zod';
import { ablationSchema, metricSchema } from '../contracts/circuit.ts';
import { circuitTaskSchema, labelSetSchema } from '../contracts/circuit-task.ts';
import { corpusSchema } from '../contracts/corpus.ts';
import { modelIdSchema, reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';
import { corpusInput, modelInput, taskInput } from './references.ts';

const number = z.number();
const stepsSchema = z
  .array(z.number().int().min(1).max(100_000))
  .min(1)
  .max(20)
  .describe('steps after which the model is read; the last is the end');
const intervalSchema = z.object({ estimate: number, low: number, high: number, error: number }).nullable();

export default defineJob({
  type: 'circuits.study',
  summary: 'Study a circuit before and after fine-tuning: clean, poisoned, retrained',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, task: { ioi: { pairs: 120 } } },
  params: z.strictObject({
    model: modelReferenceSchema,
    task: circuitTaskSchema,
    bos: z.boolean().nullable().default(null).describe('as in circuits.find'),
    metric: metricSchema,
    ablation: ablationSchema,
    effects: z.enum(['direct', 'exact']).default('direct').describe('how the effects of heads are measured'),
    poison: labelSetSchema.default({ kind: 'sd' }),
    clean_steps: stepsSchema.default([120]),
    poison_steps: stepsSchema.default([5, 40, 80, 120]),
    retrain_steps: stepsSchema.default([5, 40, 80, 120]),
    fresh: z.boolean().default(true).describe('train a model that never knew the task as the retrained one was'),
    fresh_rates: z.array(z.number().positive().max(1)).max(5).default([]).describe('other rates for it'),
    learning_rate: z.number().positive().max(1).default(1e-5),
    weight_decay: z.number().min(0).max(1).default(0.01),
    batch: z.number().int().min(1).max(1024).default(32),
    freeze: z
      .array(z.string().min(1).max(200))
      .max(100)
      .default([])
      .describe('weights that keep their values, by name'),
    held_out: z
      .number()
      .gt(0)
      .lt(1)
      .default(1 / 3)
      .describe('share of the pairs, by whole templates where they have some, that are read'),
    replay: z
      .strictObject({ corpus: corpusSchema, share: z.number().gt(0).lt(1).default(0.5) })
      .nullable()
      .default(null)
      .describe('text mixed into every fine-tuning'),
    unrelated: z
      .strictObject({ corpus: corpusSchema, sequences: z.number().int().min(1).max(1000).default(32) })
      .nullable()
      .default(null)
      .describe('text on which every checkpoint is measured'),
    transfer: z
      .array(z.enum(['output', 'value', 'pattern', 'q', 'k', 'v', 'mlp', 'stream']))
      .max(8)
      .default(['output', 'pattern', 'mlp'])
      .describe('parts put from base to poisoned model and back'),
    edges: z.number().int().min(1).max(100_000).default(200).describe('of the circuits that are compared'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    report: reportIdSchema,
    models: z.array(z.object({ phase: z.string(), step: number, model: modelIdSchema })),
    verdicts: z
      .object({ amplified: z.boolean(), corrupted: z.boolean(), restored: z.boolean() })
      .describe('true where the intervals support the word'),
    checkpoints: z.array(
      z.object({
        phase: z.string(),
        step: number,
        metric: number,
        accuracy: number,
        pairwise_accuracy: number,
        unrelated_loss: number.nullable(),
        distance: number.describe('of all weights from the base'),
        pearson: intervalSchema.describe("of the heads' effects with the base's"),
        recovery: intervalSchema,
      }),
    ),
    pairs: z.object({ trained: number, read: number }),
    unrelated_text: textAccountSchema.nullable().describe('null without unrelated text, or where it has no end'),
    replay_text: textAccountSchema
      .nullable()
      .describe('of the longest training, which the others read the beginning of; null as above'),
    data_digest: z.string(),
  }),
  progress: { phases: 'phases done', of: 'phases', seconds_left: 's' },
  produces: ['report', 'model'],
  models: (p) => [{ reference: p.model, pointer: '/model', hooks: [] }],
  inputs: (p) => [
    ...modelInput(p.model),
    ...taskInput(p.task),
    ...(p.replay ? corpusInput(p.replay.corpus, '/replay/corpus') : []),
    ...(p.unrelated ? corpusInput(p.unrelated.corpus, '/unrelated/corpus') : []),
  ],
  estimate: () => ({ device_seconds: 1800, memory_bytes: 4e9, artefact_bytes: 2e8 }),
  retention_days: 30,
});
