/** `reflection.study`: the direction before a model reconsiders, and what steering along it trades against tokens. */
import { z } from 'zod';
import { reportIdSchema, seedSchema, vectorIdSchema } from '../contracts/manifest.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { promptSourceSchema, templateSchema } from '../contracts/prompts.ts';
import { bandSchema, intervalSchema } from '../contracts/refusal.ts';
import { STEERING_MODES, vectorNameSchema } from '../contracts/vector.ts';
import { defineJob } from './contract.ts';
import { EXAMPLE } from './example-ids.ts';
import { modelInput, promptInput } from './references.ts';

const number = z.number();
const estimators = z.enum(['difference_in_means', 'first_component', 'probe']);

const pointSchema = z.object({ hook: z.string(), mode: z.enum(STEERING_MODES), alpha: number });
const figuresSchema = z.object({
  pass: number.describe('share of problems answered rightly'),
  length: number.describe('mean tokens of an answer'),
  frequency: number.describe('share of answers with a keyword'),
  occurrences: number.describe('of keywords in an answer'),
  repetition: number.describe('share of runs of four tokens that occurred before in the answer'),
  truncated: number,
  unparsed: number.describe('share of answers that none could be read from'),
  kl: number.describe('KL(plain || steered) on the plain answers, nats per token'),
});
export const steeredPointSchema = pointSchema.extend(figuresSchema.shape);
const gainSchema = z.object({
  gain: intervalSchema.describe(
    'of the share answered rightly over plain answers, on the same problems and random numbers',
  ),
  tokens: intervalSchema.describe('more than in plain answers'),
  per_1000_tokens: number.nullable(),
  shown: z.boolean().describe('false: no gain shown, since the interval holds zero'),
});
const layerSchema = z.object({
  hook: z.string(),
  norm: number,
  auc: z.record(z.string(), number).describe('held-out area under the curve, by estimator'),
  null: z.object({ mean: number, furthest: number, shuffles: number }).describe('the same with shuffled labels'),
  effective_rank: z.object({ reflecting: number, other: number }),
  projection: z.object({ reflecting: number, other: number }).describe('mean projection of states on the unit vector'),
  unembedding: z.array(number).describe('cosine with the unembedding row of each trigger'),
  base_auc: number.nullable().describe("of the base model's own difference in means"),
  base_cosine: number.nullable().describe('of the two difference vectors'),
  transfer_cosine: number.nullable().describe('with the vector of the second set of problems'),
  transfer_auc: number.nullable().describe('of this vector on the second set'),
});
const probingSchema = z.object({ hard: number, soft: number, prefixes: number }).nullable();

export default defineJob({
  type: 'reflection.study',
  summary: 'Find the direction along which a model reflects, and steer it',
  version: 1,
  scope: 'jobs:write',
  example: { model: EXAMPLE.model, problems: { artefact: EXAMPLE.artefact } },
  params: z.strictObject({
    model: modelReferenceSchema.describe('the model that reflects'),
    base: modelReferenceSchema
      .nullable()
      .default(null)
      .describe('the model that it was tuned from, of the same tokenizer'),
    problems: promptSourceSchema.describe('each with its answer'),
    transfer: promptSourceSchema
      .nullable()
      .default(null)
      .describe('a second set, on which vectors of the first are tested'),
    shares: z
      .strictObject({ train: z.number().positive(), validation: z.number().positive(), test: z.number().positive() })
      .default({ train: 0.5, validation: 0.2, test: 0.3 })
      .describe('directions are learned on the first, points chosen on the second and reported on the third'),
    template: templateSchema.default('chat'),
    answer_marker: z
      .string()
      .min(1)
      .max(100)
      .nullable()
      .default(null)
      .describe('stands before the answer; null: the last box or number'),
    keywords: z.array(z.string().min(1).max(100)).min(1).max(100).default(['wait']),
    triggers: z
      .array(z.string().min(1).max(100))
      .min(1)
      .max(100)
      .default(['wait', 'Wait', ' wait', ' Wait'])
      .describe('those that are single tokens of the model count'),
    judge: z
      .strictObject({
        model: modelReferenceSchema,
        before: z.string().max(5000),
        after: z.string().max(5000),
        yes: z.string().min(1).max(100),
        no: z.string().min(1).max(100),
        texts: z.number().int().min(1).max(1000).default(100),
      })
      .nullable()
      .default(null)
      .describe('a model that says by one of two tokens whether a text reflects'),
    look_ahead: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(50)
      .describe('tokens without a trigger behind a place that does not reflect'),
    window: z
      .union([z.number().int().min(1).max(1000), z.literal('anywhere')])
      .default('anywhere')
      .describe('tokens of a continuation in which a trigger counts'),
    samples: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe('answers to each test problem; intervals are over problems'),
    max_tokens: z.number().int().min(1).max(32_768).default(1024),
    temperature: z.number().min(0).max(5).default(0.6),
    top_p: z.number().positive().max(1).nullable().default(0.95),
    estimator: estimators.default('difference_in_means').describe('whose vector steers; all are measured'),
    layers: z
      .array(z.number().int().min(0).max(1023))
      .min(1)
      .max(64)
      .nullable()
      .default(null)
      .describe('null: the three that separate best'),
    modes: z.array(z.enum(STEERING_MODES)).min(1).max(3).default(['proj_unit']),
    alphas: z.array(z.number().min(-100).max(100)).min(1).max(64).default([-1, -0.5, 0.5, 1]),
    centred: z.boolean().default(false).describe('take projections from the mean of states that do not reflect'),
    steer: z.enum(['all', 'generated']).default('all').describe('positions that are steered'),
    forcing: z
      .strictObject({ end: z.string().min(1).max(100), rounds: z.number().int().min(1).max(16).default(1) })
      .nullable()
      .default(null)
      .describe('baseline: at this token, which ends the reasoning, a trigger is put in its place'),
    shuffles: z.number().int().min(1).max(1000).default(20),
    random_directions: z.number().int().min(39).max(1000).default(39),
    name: vectorNameSchema.optional().describe('points this name at the vector of the chosen point'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    report: reportIdSchema,
    vector: vectorIdSchema,
    name: z.string().nullable(),
    chosen: pointSchema,
    sign: number.describe(
      'of the projection of states before reflections; -1: positive strengths push away in projection modes',
    ),
    surface: z.string().describe('the token at which both kinds of place were taken'),
    triggers: z.array(z.string()),
    places: z.object({
      train: z.object({ reflecting: number, other: number }),
      held_out: z.object({ reflecting: number, other: number }),
    }),
    problems: z.record(z.string(), number),
    plain: figuresSchema.describe('on the test problems'),
    base_plain: figuresSchema.nullable(),
    steered: steeredPointSchema.describe('the chosen point on the test problems'),
    gain: gainSchema,
    enhancing: steeredPointSchema
      .extend({ gain: gainSchema })
      .nullable()
      .describe('the best point of positive strength on the test problems'),
    forcing: figuresSchema.extend({ gain: gainSchema }).nullable(),
    frontier: z.array(steeredPointSchema).describe('on the validation problems'),
    base_frontier: z
      .object({ plain: figuresSchema, points: z.array(steeredPointSchema) })
      .nullable()
      .describe("the base model along the tuned one's vector at the chosen hook, validation problems"),
    pareto: z.array(pointSchema),
    random: z
      .object({ frequency: bandSchema, pass: bandSchema })
      .describe('the chosen point along random directions, validation problems'),
    claims: z.object({ frequency: z.boolean(), pass: z.boolean() }),
    layers: z.array(layerSchema),
    probing: z
      .object({
        before_reflection: probingSchema,
        random_end: probingSchema,
        not_followed: probingSchema,
        none: probingSchema,
      })
      .nullable()
      .describe('of the base model on prefixes of the tuned one'),
    judge: z.object({ texts: number, judged: number, keyword: number, agreement: number }).nullable(),
    data_digest: z.string(),
  }),
  progress: { points: 'points measured', of: 'points', seconds_left: 's' },
  produces: ['vector', 'report'],
  models: (p) => [
    { reference: p.model, pointer: '/model', hooks: [] },
    ...(p.base ? [{ reference: p.base, pointer: '/base', hooks: [] }] : []),
    ...(p.judge ? [{ reference: p.judge.model, pointer: '/judge/model', hooks: [] }] : []),
  ],
  inputs: (p) => [
    ...modelInput(p.model),
    ...(p.base ? modelInput(p.base, '/base') : []),
    ...(p.judge ? modelInput(p.judge.model, '/judge/model') : []),
    ...promptInput(p.problems, '/problems'),
    ...(p.transfer ? promptInput(p.transfer, '/transfer') : []),
  ],
  estimate: (p) => ({
    device_seconds: 60 + p.alphas.length * p.modes.length * 20 * (p.base ? 2 : 1) + 10 * p.samples,
    memory_bytes: 2e9,
    artefact_bytes: 1e6,
  }),
  retention_days: 30,
});
