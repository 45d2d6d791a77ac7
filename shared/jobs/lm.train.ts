/** `lm.train`: a small transformer learns a corpus from scratch; by default the generated language with planted axes. */
import { z } from 'zod';
import { plantedCorpusSchema } from '../contracts/corpus.ts';
import { modelIdSchema, seedSchema } from '../contracts/thing.ts';
import { defineJob } from './contract.ts';

export default defineJob({
  type: 'lm.train',
  summary: 'Train a small language model from scratch',
  version: 1,
  scope: 'jobs:write',
  params: z.strictObject({
    corpus: plantedCorpusSchema.default({ planted: { seed: 0 } }),
    layers: z.number().int().min(1).max(24).default(3),
    width: z.number().int().min(16).max(2048).multipleOf(16).default(64),
    heads: z.number().int().min(1).max(64).default(4),
    mlp_width: z.number().int().min(16).max(8192).default(192),
    context: z.number().int().min(8).max(4096).default(48),
    batch: z.number().int().min(1).max(1024).default(64),
    steps: z.number().int().min(1).max(1_000_000).default(600),
    learning_rate: z.number().positive().max(1).default(0.003),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    model: modelIdSchema,
    parameters: z.number(),
    held_out_loss: z.number().describe('mean next-token cross-entropy on unseen text, in nats'),
    entropy_rate: z.number().describe("the language's own entropy per token, in nats"),
    ideal_loss: z.number().describe('what the language itself would lose on the same unseen text, in nats'),
    tokens: z.number(),
    data_digest: z.string(),
  }),
  progress: { loss: 'nats per token', tokens_per_s: '1/s', seconds_left: 's' },
  produces: ['model'],
  models: () => [],
  inputs: () => [],
  estimate(p) {
    const weights = p.layers * (4 * p.width ** 2 + 3 * p.width * p.mlp_width);
    const tokens = p.steps * p.batch * p.context;
    return {
      device_seconds: 5 + (tokens * (6 * weights + 12 * p.layers * p.context * p.width)) / 4e10,
      memory_bytes: 2e8 + 64 * weights + 40 * p.batch * p.context * p.width * p.layers * 8,
      artefact_bytes: 4 * weights + 1e6,
    };
  },
  retention_days: 30,
});
