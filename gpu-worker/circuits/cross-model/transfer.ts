/**
 * Parts of one model put into another of the same shape, on the same prompts: what does a checkpoint's head do in the place of
 * another's?
 */

import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Linear } from '../../../shared/models/architecture.ts';
import * as g from '../../graph/index.ts';
import {
  differingSize,
  type Intervention,
  type LanguageModel,
  type ModelFolder,
  readWeight,
  type TokenRows,
} from '../../lm/index.ts';
import { blendAt } from '../network/blend.ts';

/**
 * `output`: the source's values times its own projection; `value`: its values times the projection of the model they are put
 * into; `pattern`: its attention; `q`, `k`, `v`: as projected, keys and values by group; `mlp`: what the MLP adds; `stream`: all
 * that leaves a block.
 */
export const TRANSFER_KINDS = ['output', 'value', 'pattern', 'q', 'k', 'v', 'mlp', 'stream'] as const;
export type TransferKind = (typeof TRANSFER_KINDS)[number];
/** `head` is null for MLPs and streams, and counts groups for keys and values. */
export type Component = { kind: TransferKind; layer: number; head: number | null };

const HOOKS: Record<TransferKind, string> = {
  output: 'z',
  value: 'z',
  pattern: 'attn_pattern',
  q: 'q',
  k: 'k',
  v: 'v',
  mlp: 'mlp_out',
  stream: 'resid_post',
};

/** @throws SextantError `data_invalid` where parts of one model would not fit the other, naming the first difference */
export function requireOneShape(from: LanguageModel, into: LanguageModel, pointer: string): void {
  const sizes = ['layers', 'width', 'heads', 'kvHeads', 'headDim', 'mlpWidth', 'vocabulary', 'parallel'] as const;
  const field = differingSize(from, into, sizes);
  if (field) {
    throw new SextantError(
      'data_invalid',
      `${pointer}: ${field} is ${from.architecture[field]}, the other model's ${into.architecture[field]}; parts of one do not fit the other`,
    );
  }
}

/** Every component of a kind. */
export function componentsOf({ architecture: a }: LanguageModel, kind: TransferKind): Component[] {
  const heads = kind === 'k' || kind === 'v' ? a.kvHeads : a.heads;
  return Array.from({ length: a.layers }, (_, layer) =>
    kind === 'mlp' || kind === 'stream'
      ? [{ kind, layer, head: null }]
      : Array.from({ length: heads }, (_, head) => ({ kind, layer, head })),
  ).flat();
}

/** What a model gives at the hooks of some kinds. */
type TransferSource = {
  model: LanguageModel;
  taps: Record<string, { shape: readonly number[]; data: Float32Array }>;
};

export async function readSource(
  model: LanguageModel,
  ids: TokenRows,
  kinds: readonly TransferKind[],
): Promise<TransferSource> {
  const hooks = new Set(kinds.map((kind) => HOOKS[kind]));
  const taps = Array.from({ length: model.architecture.layers }, (_, layer) =>
    [...hooks].map((hook) => `${hook}.${layer}`),
  ).flat();
  return { model, taps: (await model.forward({ ids, taps, logits: 'none' })).taps };
}

/**
 * Logits [rows, vocabulary] of `into` with components of the source in the place of its own, everything behind computed again.
 * @param components of each row of `ids`; `pairs`: of each row, the source's row
 */
export async function transferredRun(
  into: LanguageModel,
  ids: TokenRows,
  source: TransferSource,
  components: readonly (readonly Component[])[],
  pairs: readonly number[],
): Promise<Float32Array> {
  const byPlace = new Map<string, { kind: TransferKind; layer: number; heads: (number | null)[][] }>();
  for (const [row, own] of components.entries()) {
    for (const { kind, layer, head } of own) {
      const place = byPlace.get(`${kind}.${layer}`) ?? { kind, layer, heads: components.map(() => []) };
      byPlace.set(`${kind}.${layer}`, place);
      place.heads[row]!.push(head);
    }
  }
  const interventions = [...byPlace.values()].flatMap(({ kind, layer, heads }) => {
    const reference = source.taps[`${HOOKS[kind]}.${layer}`]!;
    const index = Float32Array.from(pairs);
    const share = shares(into, kind, heads);
    return kind === 'output'
      ? outputBlend(into, source.model, layer, { reference, share, index })
      : [blendAt({ hook: `${HOOKS[kind]}.${layer}`, pairs: index, reference, share })];
  });
  const { logits } = await into.forward({ ids, logits: 'last', interventions });
  return logits!.data;
}

/** 1 at a row's heads: [rows, 1, width], or of patterns [rows, heads, 1, 1]. */
function shares({ architecture: a }: LanguageModel, kind: TransferKind, heads: readonly (number | null)[][]) {
  const rows = heads.length;
  if (kind === 'pattern') {
    const data = Float32Array.from(
      heads.flatMap((own) => Array.from({ length: a.heads }, (_, head) => +own.includes(head))),
    );
    return { shape: [rows, a.heads, 1, 1], data };
  }
  if (kind === 'mlp' || kind === 'stream') {
    return {
      shape: [rows, 1, a.width],
      data: Float32Array.from(heads.flatMap((own) => new Array(a.width).fill(+(own.length > 0)))),
    };
  }
  const count = kind === 'k' || kind === 'v' ? a.kvHeads : a.heads;
  const width = count * a.headDim;
  const data = Float32Array.from(
    heads.flatMap((own) => Array.from({ length: width }, (_, i) => +own.includes(Math.floor(i / a.headDim)))),
  );
  return { shape: [rows, 1, width], data };
}

/** What the chosen heads add is taken away, and what the source's add is put in its place: each times its own projection. */
function outputBlend(
  into: LanguageModel,
  from: LanguageModel,
  layer: number,
  {
    reference,
    share,
    index,
  }: {
    reference: { shape: readonly number[]; data: Float32Array };
    share: { shape: readonly number[]; data: Float32Array };
    index: Float32Array;
  },
): Intervention[] {
  const [rows, width] = [index.length, reference.shape[2]!];
  const [there, here] = [from, into].map(({ folder }) => projection(folder, folder.weights.layers[layer]!.output));
  const { width: stream } = into.architecture;
  let own: g.Tensor | null = null;
  return [
    {
      kind: 'splice',
      hook: `z.${layer}`,
      key: 'read',
      build(z) {
        own = z;
        return z;
      },
    },
    {
      kind: 'splice',
      hook: `attn_out.${layer}`,
      key: 'outputs',
      feeds: {
        reference,
        share,
        pairs: { shape: [rows], data: index },
        there: { shape: [width, stream], data: there! },
        here: { shape: [width, stream], data: here! },
      },
      build(x, feed) {
        const chosen = feed('share', ['batch', 1, width]);
        const values = g.gather(
          feed('reference', ['recorded', 'seq', width]),
          g.cast(feed('pairs', ['batch']), 'int64'),
        );
        const put = g.matmul(g.mul(values, chosen), feed('there', [width, stream]));
        const taken = g.matmul(g.mul(own!, chosen), feed('here', [width, stream]));
        return g.add(x, g.sub(put, taken));
      },
    },
  ];
}

/** [inputs, outputs], whichever way it is stored. */
function projection(folder: ModelFolder, { weight, layout }: Linear): Float32Array {
  const values = readWeight(folder, weight.name);
  if (layout === 'in_out') {
    return values;
  }
  const [outputs, inputs] = weight.shape as [number, number];
  const turned = new Float32Array(values.length);
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) {
      turned[i * outputs + j] = values[j * inputs + i]!;
    }
  }
  return turned;
}
