/** What the heads of one checkpoint do: what they copy, where they look, how far their weights have come. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Linear } from '../../../shared/models/architecture.ts';
import { type LanguageModel, type ModelFolder, readWeight } from '../../lm/index.ts';
import { HeadProgram } from '../network/head-program.ts';
import { nodeModel } from '../network/node-model.ts';
import { batchesOf } from '../tasks/batches.ts';
import type { Pair } from '../tasks/pair.ts';
import { headsOf } from './reading.ts';

/** Tokens whose copying is tested, at most. */
const COPIED = 24;
const TOP = 5;

export type HeadRole = {
  /** Share of the task's answers that the head, reading one behind the first block, ranks among its five likeliest. */
  copies: number;
  /** The same with what it gives turned round. */
  copies_negative: number;
  /** Mean attention from the last position to positions by name. */
  attention: Record<string, number>;
};

/** Of every head, layer by layer. */
export async function headRoles(model: LanguageModel, pairs: readonly Pair[]): Promise<HeadRole[]> {
  const attention = await attentionTo(model, pairs);
  const copies = await copyScores(
    model,
    [...new Set(pairs.flatMap(({ answer }) => answer.slice(0, 1)))].slice(0, COPIED),
  );
  return headsOf(model).map((_, head) => ({ ...copies[head]!, attention: attention[head]! }));
}

async function attentionTo(model: LanguageModel, pairs: readonly Pair[]): Promise<Record<string, number>[]> {
  const { layers, heads } = model.architecture;
  const names = Object.keys(pairs[0]?.positions ?? {}).filter((name) =>
    pairs.every(({ positions }) => positions?.[name] !== undefined),
  );
  const found = headsOf(model).map((): Record<string, number> => Object.fromEntries(names.map((name) => [name, 0])));
  if (names.length === 0) {
    return found;
  }
  const hooks = Array.from({ length: layers }, (_, layer) => `attn_pattern.${layer}`);
  for (const { pairs: own } of batchesOf(pairs, 32)) {
    const { taps, seq } = await model.forward({ ids: own.map(({ clean }) => clean), taps: hooks, logits: 'none' });
    for (const [layer, hook] of hooks.entries()) {
      for (const [row, { positions }] of own.entries()) {
        for (let head = 0; head < heads; head++) {
          const from = ((row * heads + head) * seq + seq - 1) * seq;
          for (const name of names) {
            found[layer * heads + head]![name]! += taps[hook]!.data[from + positions![name]!]! / pairs.length;
          }
        }
      }
    }
  }
  return found;
}

async function copyScores(
  model: LanguageModel,
  tokens: readonly number[],
): Promise<Pick<HeadRole, 'copies' | 'copies_negative'>[]> {
  const { width, vocabulary, norm } = model.architecture;
  const { folder } = model;
  const { taps } = await model.forward({
    ids: tokens.map((token) => [token]),
    taps: ['resid_post.0'],
    logits: 'none',
  });
  const streams = taps['resid_post.0']!.data;
  const heads = headsOf(model);
  const rows = new Float32Array(2 * heads.length * tokens.length * width);
  for (const [h, { layer, head }] of heads.entries()) {
    const { attentionNorm } = folder.weights.layers[layer]!;
    if (!attentionNorm) {
      throw new SextantError('model_unsupported', 'heads that read the stream as it is have no roles here');
    }
    const scale = readWeight(folder, attentionNorm.weight.name).map((x) => x + norm.weightOffset);
    const shift = attentionNorm.bias ? readWeight(folder, attentionNorm.bias.name) : null;
    const value = headMatrix(folder, layer, head, 'v');
    const output = headMatrix(folder, layer, head, 'o');
    for (let t = 0; t < tokens.length; t++) {
      const stream = streams.subarray(t * width, (t + 1) * width);
      const middle = norm.kind === 'layer' ? stream.reduce((sum, x) => sum + x, 0) / width : 0;
      const size = Math.sqrt(stream.reduce((sum, x) => sum + (x - middle) ** 2, 0) / width + norm.eps);
      const read = stream.map((x, i) => ((x - middle) / size) * scale[i]! + (shift?.[i] ?? 0));
      const made = value.map((row) => row.reduce((sum, x, i) => sum + x * read[i]!, 0));
      const at = (h * tokens.length + t) * width;
      const turned = (heads.length * tokens.length + h * tokens.length + t) * width;
      for (let i = 0; i < width; i++) {
        const given = made.reduce((sum, x, j) => sum + x * output[j]![i]!, 0);
        rows[at + i] = given;
        rows[turned + i] = -given;
      }
    }
  }
  const program = await HeadProgram.open(nodeModel(model));
  try {
    const share = (first: number, logits: Float32Array) =>
      tokens.filter((token, t) => {
        const own = logits.subarray((first + t) * vocabulary, (first + t + 1) * vocabulary);
        return own.filter((x) => x > own[token]!).length < TOP;
      }).length / tokens.length;
    const found = [];
    // One head at a time: logits of a large vocabulary take room.
    for (const h of heads.keys()) {
      const size = tokens.length * width;
      const [plain, turned] = [h * size, (heads.length + h) * size];
      found.push({
        copies: share(0, await program.logits(rows.slice(plain, plain + size))),
        copies_negative: share(0, await program.logits(rows.slice(turned, turned + size))),
      });
    }
    return found;
  } finally {
    await program.release();
  }
}

/** Rows [headDim][width] of a head's own part of a projection, values before it or outputs behind it. */
function headMatrix(folder: ModelFolder, layer: number, head: number, part: 'q' | 'k' | 'v' | 'o'): Float32Array[] {
  const { architecture: a, weights } = folder;
  const { qkv, output } = weights.layers[layer]!;
  const { heads, kvHeads, headDim } = a;
  const own = part === 'k' || part === 'v' ? Math.floor((head * kvHeads) / heads) : head;
  if (part === 'o') {
    return Array.from({ length: headDim }, (_, i) => vectorOf(folder, output, 'input', head * headDim + i));
  }
  const third = { q: 0, k: 1, v: 2 }[part];
  return Array.from({ length: headDim }, (_, i) => {
    if (!('fused' in qkv)) {
      return vectorOf(folder, qkv[part], 'output', own * headDim + i);
    }
    const before = { q: 0, k: heads, v: heads + kvHeads }[part];
    const at = qkv.order === 'blocks' ? (before + own) * headDim : (3 * head + third) * headDim;
    return vectorOf(folder, qkv.fused, 'output', at + i);
  });
}

const read = new WeakMap<ModelFolder, Map<string, Float32Array>>();
function vectorOf(
  folder: ModelFolder,
  { weight, layout }: Linear,
  along: 'input' | 'output',
  at: number,
): Float32Array {
  const known = read.get(folder) ?? new Map<string, Float32Array>();
  read.set(folder, known);
  const values = known.get(weight.name) ?? readWeight(folder, weight.name);
  known.set(weight.name, values);
  const [rows, columns] = weight.shape as [number, number];
  const byRow = (layout === 'out_in') === (along === 'output');
  return byRow
    ? values.slice(at * columns, (at + 1) * columns)
    : Float32Array.from({ length: rows }, (_, row) => values[row * columns + at]!);
}

/** How far each head's weights are from those of another model; of keys and values that heads share, each counts the whole. */
export function headDistances(a: LanguageModel, b: LanguageModel): number[] {
  return headsOf(a).map(({ layer, head }) => {
    let sum = 0;
    for (const part of ['q', 'k', 'v', 'o'] as const) {
      const [x, y] = [a, b].map(({ folder }) => headMatrix(folder, layer, head, part)) as [
        Float32Array[],
        Float32Array[],
      ];
      for (const [row, values] of x.entries()) {
        sum += values.reduce((far, value, i) => far + (value - y[row]![i]!) ** 2, 0);
      }
    }
    return Math.sqrt(sum);
  });
}
