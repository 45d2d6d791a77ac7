/**
 * `lm.train`: a language model learns a corpus, from scratch or from where a given model stands; by default a small one
 * learns the generated language with planted axes.
 */
import { z } from 'zod';
import { circuitTaskSchema, labelSetSchema } from '../contracts/circuit-task.ts';
import { corpusSchema } from '../contracts/corpus.ts';
import { modelIdSchema, seedSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { bodyWeights, floats } from './costs.ts';
import { corpusInput, modelInput, taskInput } from './references.ts';

/** Tokens of the project's own tokenizer of bytes; the generated language has fewer. */
const OWN_VOCABULARY = 258;
const fieldSchema = z.string().min(1).max(100);

export default defineJob({
  type: 'lm.train',
  summary: 'Train a language model, from scratch or further',
  version: 2,
  scope: 'jobs:write',
  example: { steps: 100 },
  params: z
    .strictObject({
      from: modelReferenceSchema
        .nullable()
        .default(null)
        .describe('the model to train further, with its tokenizer; null: a new one of the sizes given here'),
      corpus: corpusSchema.default({ planted: { seed: 0 } }),
      pairs: z
        .strictObject({ prompt: fieldSchema.default('prompt'), completion: fieldSchema.default('completion') })
        .nullable()
        .default(null)
        .describe('the fields of a JSON-lines corpus that hold prompt and completion; only completions are learnt'),
      task: z
        .strictObject({
          of: circuitTaskSchema,
          bos: z.boolean().nullable().default(null).describe('as in circuits.find'),
          labels: labelSetSchema.default({ kind: 'clean' }),
          replay: z.number().min(0).lt(1).default(0).describe('share of the rows that are text of the corpus instead'),
        })
        .nullable()
        .default(null)
        .describe(
          'pairs of prompts of which the answer alone is learnt, right or poisoned; `corpus` is then for replay alone',
        ),
      tokenizer: modelReferenceSchema
        .nullable()
        .default(null)
        .describe(
          "whose tokenizer a new model takes; null: the project's own, which are the words of the generated language for " +
            'that language and bytes for every other text',
        ),
      layers: z.number().int().min(1).max(24).default(3),
      width: z.number().int().min(16).max(2048).multipleOf(16).default(64),
      heads: z.number().int().min(1).max(64).default(4),
      mlp_width: z.number().int().min(16).max(8192).default(192),
      freeze: z
        .array(z.string().min(1).max(200))
        .max(100)
        .default([])
        .describe('weights that keep their values, by name; * stands for any characters'),
      context: z.number().int().min(8).max(4096).default(48).describe('tokens that a sequence predicts'),
      batch: z.number().int().min(1).max(1024).default(64),
      steps: z.number().int().min(1).max(1_000_000).default(600),
      learning_rate: z.number().positive().max(1).default(0.003),
      warm_up: z
        .number()
        .int()
        .min(0)
        .max(1_000_000)
        .nullable()
        .default(null)
        .describe('steps over which the learning rate rises; null: a twentieth of all'),
      final_rate: z
        .number()
        .min(0)
        .max(1)
        .default(0.1)
        .describe('share of the learning rate that is left at the end, where a cosine brings it; 1 keeps it'),
      weight_decay: z.number().min(0).max(1).default(0.01),
      checkpoints: z
        .array(z.number().int().min(1).max(1_000_000))
        .max(20)
        .default([])
        .describe('steps after which the model is kept and published too'),
      seed: seedSchema.default(0),
    })
    .superRefine(({ from, tokenizer, corpus, width, heads, steps, warm_up, checkpoints, task }, context) => {
      const refuse = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path, message });
      if (!from && width % heads !== 0) {
        refuse(['heads'], `${heads} heads do not divide the width ${width}`);
      }
      if (warm_up !== null && warm_up > steps) {
        refuse(['warm_up'], `the learning rate rises over ${warm_up} steps, and there are ${steps}`);
      }
      for (const [i, step] of checkpoints.entries()) {
        if (step > steps || checkpoints.indexOf(step) !== i) {
          refuse(
            ['checkpoints', i],
            step > steps ? `step ${step} is beyond the end, which is step ${steps}` : `step ${step} is named twice`,
          );
        }
      }
      if (from && tokenizer) {
        refuse(['tokenizer'], 'a model that is trained further keeps its own');
      }
      if (tokenizer && 'planted' in corpus) {
        refuse(
          ['tokenizer'],
          'the generated language comes as words of its own; leave it out, or give a corpus of text',
        );
      }
      if (task && !from) {
        refuse(['task'], 'a task is learnt by a model that is trained further; name one in `from`');
      }
    }),
  result: z.object({
    model: modelIdSchema,
    checkpoints: z.array(z.object({ step: z.number(), model: modelIdSchema })),
    parameters: z.number(),
    trained_parameters: z.number().describe('those that were not frozen'),
    tokenizer: z.string().describe("'words' of the generated language, 'bytes', or 'model': that of the model named"),
    held_out_loss: z.number().describe('mean next-token cross-entropy on held-out text, in nats'),
    held_out_loss_before: z.number().nullable().describe('of the model that was trained further'),
    held_out_tokens: z.number().describe('tokens that the held-out loss is a mean over'),
    held_out_unseen: z.boolean().describe('false for a corpus of one document, which serves both purposes'),
    entropy_rate: z.number().nullable().describe("the generated language's own entropy per token, in nats"),
    ideal_loss: z
      .number()
      .nullable()
      .describe('what the generated language itself would lose on the same unseen text, in nats'),
    tokens: z.number(),
    text: textAccountSchema
      .nullable()
      .describe('of the side that is trained on, read once; of a task, of its replay; null for text without end'),
    held_out_text: textAccountSchema.nullable().describe('of the side that is held out; null without such text'),
    data_digest: z.string(),
  }),
  progress: { loss: 'nats per token', tokens_per_s: '1/s', seconds_left: 's' },
  produces: ['model'],
  models: (p) => [
    ...(p.from
      ? [{ reference: p.from, pointer: '/from', hooks: [], context: { tokens: p.context, pointer: '/context' } }]
      : []),
    ...(p.tokenizer ? [{ reference: p.tokenizer, pointer: '/tokenizer', hooks: [] }] : []),
  ],
  inputs: (p) => [
    ...(p.from ? modelInput(p.from, '/from') : []),
    ...(p.tokenizer ? modelInput(p.tokenizer, '/tokenizer') : []),
    ...corpusInput(p.corpus),
    ...(p.task ? taskInput(p.task.of, '/task/of') : []),
  ],
  work(p, known) {
    // Without a model to start from, the one that is described is that of the tokenizer.
    const body = p.from ? bodyWeights(known) : p.layers * (4 * p.width ** 2 + 3 * p.width * p.mlp_width);
    const { width, layers, heads } = p.from ? known : p;
    const vocabulary = p.from || p.tokenizer ? known.vocabulary : OWN_VOCABULARY;
    const weights = body + 2 * vocabulary * width;
    const rows = p.batch * p.context;
    const attention = 2 * layers * p.context * width;
    return {
      seconds: {
        start: 1,
        weights_started: weights,
        weights_updated: p.steps * weights,
        multiply_adds: p.steps * rows * (body + attention + vocabulary * width),
        values_between: p.steps * rows * layers * width,
      },
      memory: {
        process: 1,
        weights: floats(weights),
        residuals: floats(rows * layers * width),
        attention: floats(rows * layers * heads * p.context),
        logits: floats(rows * vocabulary),
      },
      artefact_bytes: floats(weights) + 1e6,
    };
  },
  retention_days: 30,
});
