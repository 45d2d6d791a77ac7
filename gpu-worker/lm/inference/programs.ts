/** Compiled variants of a model: one program for each set of taps, edits and outputs, kept while they are in use. */
import {
  type Architecture,
  type Linear,
  type ModelWeights,
  ropeOf,
  type Weight,
} from '../../../shared/models/architecture.ts';
import { requireHook } from '../../../shared/models/hooks.ts';
import * as g from '../../graph/index.ts';
import { type Provider, Session } from '../../runtime/index.ts';
import { named } from '../named.ts';
import { fusedFits } from '../network/fused-attention.ts';
import { TappedHookPoints } from '../network/hook-points.ts';
import { type Parameters, value } from '../network/layers.ts';
import { packedLinear } from '../network/packed-linear.ts';
import { transformer } from '../network/transformer.ts';
import type { ModelFolder } from '../weights/folder.ts';
import type { PreparedEdit } from './interventions.ts';

/** What decides a program. */
export type Variant = {
  taps: readonly string[];
  edits: readonly PreparedEdit[];
  /** Logits of all positions, of the rows in the input `logit_rows`, or none. */
  logits: 'all' | 'rows' | 'none';
  /** Taps at all positions, or at those of the input `tap_rows`. */
  tapRows: boolean;
  /** Cross-entropy of each position against the input `labels`. */
  losses: boolean;
  /** The stream after the final norm. */
  final: boolean;
  /** Rows begin with padding, so each needs its own mask. */
  padded: boolean;
  /** Keys and values of earlier positions go in, new ones come out; beside logits, the logs of their sums of exp. */
  cached: boolean;
};

const DTYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

/** Name of the mask input of layers with this window. */
export const maskName = (window: number | null): string => `mask.${window ?? 'full'}`;

/** The inputs of the tables that turn a layer's queries and keys; null where nothing does. */
export function rotaryInputs(
  a: Architecture,
  layer: number,
  input: (name: string, shape: g.Shape) => g.Tensor,
): { cosines: g.Tensor; sines: g.Tensor } | null {
  const [kind, rope] = [a.turned[layer], ropeOf(a, layer)];
  if (!kind || !rope) {
    return null;
  }
  const shape = [`${kind}.table`, rope.dims / 2];
  return { cosines: input(`${kind}.cosines`, shape), sines: input(`${kind}.sines`, shape) };
}

/** The weights of a folder as tensors that refer into its files. */
export function storedParameters(folder: ModelFolder, activations: 'float32' | 'int8' = 'float32'): Parameters {
  const known = new Map<string, g.Tensor>();
  const get = ({ name }: Weight) => {
    let tensor = known.get(name);
    if (!tensor) {
      const { file, begin, end, dtype, shape } = named(folder.stored, name);
      const type = DTYPES[dtype as keyof typeof DTYPES];
      tensor = g.external({ file, offset: begin, length: end - begin }, shape, type);
      known.set(name, tensor);
    }
    return tensor;
  };
  const part = (name: string, dtype: g.DType): g.Tensor => {
    const { file, begin, end, shape } = named(folder.packedTensors, name);
    return g.external({ file, offset: begin, length: end - begin }, shape, dtype);
  };
  const packedProduct = ({ weight }: Linear, x: g.Tensor): g.Tensor | null => {
    const packed = folder.packed.get(weight.name);
    if (!packed) {
      return null;
    }
    const { names, ...sizes } = packed;
    const parts = {
      codes: part(names.codes, 'uint8'),
      scales: part(names.scales, 'float32'),
      zeros: part(names.zeros, 'uint8'),
    };
    return packedLinear(x, parts, { ...sizes, activations });
  };
  const vector = (values: Float32Array, shape: readonly number[]) => g.constant(Array.from(values), shape);
  const product = (layer: Linear, x: g.Tensor): g.Tensor | null => {
    const pair = folder.sidePaths.get(layer.weight.name)?.pair;
    if (!pair) {
      return packedProduct(layer, x);
    }
    const own = packedProduct(layer, x) ?? g.matmul(x, value(get, layer.weight), { transB: layer.layout === 'out_in' });
    const along = g.matmul(x, vector(pair.right, [pair.right.length, 1]));
    return g.add(own, g.mul(along, vector(pair.left, [pair.left.length])));
  };
  const offset = ({ weight }: Linear): g.Tensor | null => {
    const constant = folder.sidePaths.get(weight.name)?.constant;
    return constant ? vector(constant, [constant.length]) : null;
  };
  return folder.packed.size + folder.sidePaths.size > 0 ? Object.assign(get, { product, offset }) : get;
}

/** Whether a variant's attention can be the runtime's own node: no padding, and nobody looks at the patterns. */
export const isFused = (a: Architecture, variant: Variant, target: g.Target): boolean =>
  target === 'cpu' &&
  fusedFits(a.headDim) &&
  !variant.padded &&
  ![...variant.taps, ...variant.edits.map(({ hook }) => hook)].some(
    (hook) => requireHook(a, hook).kind === 'attn_pattern',
  );

/** The program of a variant. */
function compileVariant(
  a: Architecture,
  weights: ModelWeights,
  get: Parameters,
  variant: Variant,
  target: g.Target,
): g.Program {
  const hookPoints = new TappedHookPoints(variant.taps, variant.edits);
  const known = new Map<string, g.Tensor>();
  const input = (name: string, shape: g.Shape, dtype: g.DType = 'float32'): g.Tensor => {
    if (!known.has(name)) {
      known.set(name, g.input(name, shape, dtype));
    }
    return named(known, name);
  };
  const maskShape = variant.padded ? ['batch', 1, 1, 'seq', 'seq'] : ['seq', 'seq'];
  const fused = isFused(a, variant, target);
  const cacheShape = ['batch', a.kvHeads, 'past', a.headDim];
  const out = transformer(
    a,
    weights,
    get,
    {
      ids: input('ids', ['batch', 'seq'], 'int64'),
      positions: input('positions', ['batch', 'seq'], 'int64'),
      rotary: (layer) => rotaryInputs(a, layer, input),
      mask: (layer) => (fused ? null : input(maskName(a.windows[layer]!), maskShape)),
      past: variant.cached
        ? a.windows.map((window, layer) => ({
            keys: input(`keys.${layer}`, cacheShape),
            values: input(`values.${layer}`, cacheShape),
            mask: fused ? null : input(`past.${maskName(window)}`, ['batch', 1, 1, 'seq', 'past']),
          }))
        : null,
      fused: fused ? { last: input('last', ['batch'], 'int32'), total: input('total', [], 'int32') } : null,
    },
    hookPoints,
  );
  const { grid } = out;
  const rows = (x: g.Tensor, name: string) => g.gather(x, input(name, [name], 'int64'));
  const outputs: Record<string, g.Tensor> = {};
  const all = variant.losses || variant.logits === 'all' ? grid.split(out.logits(out.final)) : null;
  if (all && variant.logits === 'all') {
    outputs.logits = all;
  }
  if (variant.logits === 'rows') {
    outputs.logits = out.logits(rows(out.final, 'logit_rows'));
  }
  // A token's log-probability is its logit minus this; over a whole vocabulary the host is slow to find it.
  if (variant.cached && outputs.logits) {
    outputs.normalisers = g.logSumExp(outputs.logits, -1);
  }
  if (all && variant.losses) {
    outputs.losses = g.crossEntropyRows(all, input('labels', ['batch', 'seq'], 'int64'));
  }
  if (variant.final) {
    outputs.final = grid.split(out.final);
  }
  for (const [hook, value] of hookPoints.taps) {
    outputs[`tap.${hook}`] =
      variant.tapRows && requireHook(a, hook).kind !== 'attn_pattern' ? rows(g.flattenRows(value), 'tap_rows') : value;
  }
  if (variant.cached) {
    for (const [layer, { keys, values }] of out.caches.entries()) {
      outputs[`keys.${layer}.new`] = keys;
      outputs[`values.${layer}.new`] = values;
    }
  }
  return g.compile(outputs, { name: `${a.family}`, target });
}

export type DeviceOptions = {
  device?: Provider;
  threads?: number;
  /** See `SessionOptions`. */
  spinning?: boolean;
  /** What matrices that stay packed are multiplied with; int8 is faster and coarser. */
  activations?: 'float32' | 'int8';
};

/** Bytes of packed weights for each byte of the file. */
const PACKED = 1.13;

/** Sessions of a model by variant; the least recently used are released when there are too many. */
export class Programs {
  readonly #folder: ModelFolder;
  readonly #options: DeviceOptions;
  readonly #get: Parameters;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #most: number;

  constructor(folder: ModelFolder, options: DeviceOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#get = storedParameters(folder, options.activations);
    this.#most = folder.bytes > 128 * 2 ** 20 ? 2 : 8;
  }

  /** What the compiled programs hold, about: each packs the weights for itself. */
  get bytes(): number {
    return Math.ceil(PACKED * this.#folder.bytes) * this.#sessions.size;
  }

  async session(variant: Variant): Promise<Session> {
    const { taps, edits, ...rest } = variant;
    const key = JSON.stringify([[...taps], edits.map(({ signature }) => signature), rest]);
    let session = this.#sessions.get(key);
    if (session) {
      this.#sessions.delete(key);
    } else {
      while (this.#sessions.size >= this.#most) {
        const [oldest = ''] = this.#sessions.keys();
        await this.#drop(oldest);
      }
      session = this.#create(variant);
    }
    this.#sessions.set(key, session);
    return session;
  }

  #create(variant: Variant): Promise<Session> {
    const { device = 'cpu', activations: _activations, ...options } = this.#options;
    const { architecture, weights, weightsPath } = this.#folder;
    const program = compileVariant(architecture, weights, this.#get, variant, device);
    return Session.create(program, { ...options, provider: device, weightsFolder: weightsPath, flushDenormals: true });
  }

  async #drop(key: string): Promise<void> {
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    await (await session)?.release();
  }

  /** Gives all sessions back. */
  async release(): Promise<void> {
    for (const key of [...this.#sessions.keys()]) {
      await this.#drop(key);
    }
  }
}
