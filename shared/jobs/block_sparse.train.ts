/** `block_sparse.train`: layers whose tiles become zero while they are trained, against every rival on the same batches. */
import { z } from 'zod';
import {
  frontierSchema,
  layerTimesSchema,
  networkSchema,
  pointFiguresSchema,
  SPARSE_METHODS,
  sparsePointSchema,
  sparseTaskSchema,
  tileSchema,
} from '../contracts/block-sparse.ts';
import { modelIdSchema, reportIdSchema, seedSchema } from '../contracts/manifest.ts';
import { tableInput } from '../contracts/table.ts';
import { textAccountSchema } from '../contracts/text-use.ts';
import { defineJob } from './contract.ts';
import { floats, tokenWork } from './costs.ts';
import { corpusInput, modelInput } from './references.ts';

/** How many points are trained: no method knows more strengths than are given, and a search takes all tiles at once. */
function pointsOf({ methods, tiles, seeds, lambda, lambda_absolute, sparsity }: Counted): number {
  const strengths = (method: (typeof SPARSE_METHODS)[number]): number => {
    switch (method) {
      case 'dense':
      case 'kpd_unpenalised':
        return 1;
      case 'kpd':
      case 'size_search':
        return lambda.length + lambda_absolute.length;
      case 'rigl':
      case 'pruning':
        return sparsity.length;
      default:
        return lambda_absolute.length;
    }
  };
  const one = (method: (typeof SPARSE_METHODS)[number]) => method === 'dense' || method === 'size_search';
  return seeds.length * methods.reduce((sum, method) => sum + strengths(method) * (one(method) ? 1 : tiles.length), 0);
}
type Counted = Record<'lambda' | 'lambda_absolute' | 'sparsity' | 'seeds' | 'tiles', readonly unknown[]> & {
  methods: readonly (typeof SPARSE_METHODS)[number][];
};

/** Inputs of images and classes, which are not known before they are read: those of small grey images. */
const [ASSUMED_INPUTS, ASSUMED_CLASSES] = [784, 10];

/** Weights of a network, about: one is used once for each row, or for each patch of an image. */
function weightsOf(network: z.output<typeof networkSchema>, inputs: number): number {
  switch (network.kind) {
    case 'linear':
      return inputs * ASSUMED_CLASSES;
    case 'mlp': {
      const sizes = [inputs, ...network.widths, ASSUMED_CLASSES];
      return sizes.slice(1).reduce((sum, size, i) => sum + size * (sizes[i] ?? 0), 0);
    }
    case 'lenet':
      return 430_500;
    case 'vit':
      return (inputs / network.patch ** 2 + 1) * 12 * network.depth * network.width ** 2;
  }
}

const strength = z.number().min(0).max(1e6);

export default defineJob({
  type: 'block_sparse.train',
  summary: 'Train layers with tiles that are exactly zero, and compare what that costs with other ways',
  version: 1,
  scope: 'jobs:write',
  example: {
    task: {
      kind: 'table',
      table: { columns: { x: [0, 1, 2, 3], y: [3, 1, 2, 0], label: [0, 0, 1, 1] } },
      label: 'label',
      features: { columns: ['x', 'y'] },
    },
    tiles: [[2, 2]],
    steps: 10,
  },
  params: z
    .strictObject({
      task: sparseTaskSchema,
      model: networkSchema.default({ kind: 'linear' }).describe('a language model is named in its task'),
      tiles: z.array(tileSchema).min(1).max(8).describe('each is trained on its own; a search takes all at once'),
      rank: z.number().int().min(1).max(256).default(2).describe('terms of the Kronecker sums'),
      methods: z.array(z.enum(SPARSE_METHODS)).min(1).max(9).default(['dense', 'kpd']),
      lambda: z
        .array(strength)
        .max(20)
        .default([])
        .describe('penalties of kpd in units of the critical one: at 1 an idle tile dies with the last step'),
      lambda_absolute: z
        .array(strength)
        .max(20)
        .default([])
        .describe('penalties as they are, of kpd and of the lassos'),
      group_lambda: strength
        .default(0.05)
        .describe('size_search: group penalty, times the root of the number of tiles'),
      sparsity: z.array(z.number().min(0).max(0.99)).max(20).default([]).describe('rigl, pruning: share of zero tiles'),
      seeds: z.array(seedSchema).min(1).max(20).default([0]),
      steps: z.number().int().min(1).max(1_000_000).default(600),
      batch: z.number().int().min(1).max(65_536).default(200),
      learning_rate: z.number().positive().max(10).default(0.1),
      optimiser: z.enum(['sgd', 'adam']).default('sgd'),
      momentum: z.number().min(0).max(0.999).default(0.9).describe('of sgd'),
      decay: z
        .enum(['decoupled', 'coupled'])
        .default('decoupled')
        .describe('of the factors A and B: after the step, or added to their gradients'),
      weight_decay: z.number().min(0).max(1).default(1e-3),
      ramp: z
        .number()
        .min(0)
        .max(100)
        .default(1)
        .describe('the penalty at the end as a multiple of that at the beginning'),
      freeze_from: z
        .number()
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe('step from which zero tiles stay zero; null: they may come back until the penalty ends'),
      debias_steps: z
        .number()
        .int()
        .min(0)
        .max(1_000_000)
        .default(0)
        .describe('steps after the others without a penalty, the zero tiles fixed'),
      build: z.boolean().default(false).describe('form the matrix in every step instead of multiplying by the factors'),
      split: z
        .tuple([z.number().positive(), z.number().positive(), z.number().positive()])
        .default([0.7, 0.15, 0.15])
        .describe('training, validation (choice of the model), test'),
      tolerance: z
        .number()
        .min(0)
        .max(1)
        .default(0.01)
        .describe('the model with most zero tiles is chosen whose score is within this of the best'),
      format: z.enum(['factored', 'block_csr']).default('factored').describe('how the chosen model is stored'),
      dense_export: z.boolean().default(false).describe('also store it dense'),
    })
    .superRefine(({ task, model, rank, tiles, split }, context) => {
      const refuse = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path, message });
      const images = model.kind === 'lenet' || model.kind === 'vit';
      if (task.kind === 'lm' && model.kind !== 'linear') {
        refuse(['model'], 'a language model is named in its task');
      }
      if (task.kind === 'table' && images) {
        refuse(['model', 'kind'], `${model.kind} needs images; a table takes linear or mlp`);
      }
      if (model.kind === 'vit' && model.width % model.heads !== 0) {
        refuse(['model', 'heads'], `${model.heads} heads do not divide the width ${model.width}`);
      }
      tiles.forEach(([m, n], i) => {
        if (rank > m * n) {
          refuse(['rank'], `${rank} terms are more than the ${m * n} numbers of tile ${i} (${m} x ${n}) can need`);
        }
      });
      const total = split.reduce((sum, share) => sum + share, 0);
      if (Math.abs(total - 1) > 1e-6) {
        refuse(['split'], `the shares add up to ${total}, not to 1`);
      }
    }),
  result: z.object({
    points: z.array(pointFiguresSchema),
    frontier: frontierSchema,
    at_equal_sparsity: z
      .array(z.object({ method: z.enum(SPARSE_METHODS), tile: tileSchema, share: z.number(), score: z.number() }))
      .describe('interpolated on each frontier at shares of zero tiles'),
    chosen: sparsePointSchema,
    model: modelIdSchema,
    report: reportIdSchema,
    critical_lambda: z.number().describe('the unit of lambda'),
    learning_rate_sum: z.number(),
    inference: layerTimesSchema.describe(
      'of the chosen model, layers with zero tiles: medians measured on this worker, one thread, in turns with the dense product',
    ),
    left_dense: z.array(z.string()).describe('layers that no tile divides'),
    warnings: z.array(z.string()),
    text: textAccountSchema.nullable().describe('of the side that a language model learns from; null for other tasks'),
    held_out_text: textAccountSchema.nullable().describe('of the side that it is measured on'),
    data_digest: z.string(),
  }),
  progress: {
    loss: 'nats',
    validation_accuracy: 'share',
    zero_share: 'share of tiles',
    point: 'number',
    seconds_left: 's',
  },
  produces: ['model', 'report'],
  models: ({ task }) =>
    task.kind === 'lm'
      ? [
          {
            reference: task.model,
            pointer: '/task/model',
            hooks: [],
            context: { tokens: task.context, pointer: '/task/context' },
          },
        ]
      : [],
  inputs({ task }) {
    if (task.kind === 'table') {
      return tableInput(task.table).map(({ id }) => ({ id, pointer: '/task/table/artefact' }));
    }
    if (task.kind === 'lm') {
      return [...modelInput(task.model, '/task/model'), ...corpusInput(task.corpus, '/task/corpus')];
    }
    const labels = task.labels ? [{ id: task.labels, pointer: '/task/labels' }] : [];
    return [{ id: task.images, pointer: '/task/images' }, ...labels];
  },
  work(p, model) {
    const language = p.task.kind === 'lm';
    const steps = pointsOf(p) * (p.steps + p.debias_steps);
    const rows = p.task.kind === 'lm' ? p.batch * p.task.context : p.batch;
    const weights = language
      ? model.parameters
      : weightsOf(p.model, p.task.kind === 'table' ? p.task.features.columns.length : ASSUMED_INPUTS);
    const perRow = p.task.kind === 'lm' ? tokenWork(model, p.task.context) + model.vocabulary * model.width : weights;
    return {
      seconds: {
        start: 1,
        points: pointsOf(p),
        weights_loaded: language ? weights : 0,
        steps,
        weights_updated: steps * weights,
        multiply_adds: 3 * steps * rows * perRow,
      },
      memory: {
        process: 1,
        weights: floats(weights),
        rows: floats(rows * (language ? model.layers * model.width : Math.sqrt(weights))),
        logits: language ? floats(rows * model.vocabulary) : 0,
      },
      artefact_bytes: 2 * floats(weights) + 1e6,
    };
  },
  retention_days: 30,
});
