/**
 * Interventions: what can be done to the value at a hook point. Each is a few nodes of the graph with its vectors as
 * inputs, so every row of a batch may carry its own, and one compiled program serves all vectors.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { hookWidth, parseHook, requireHook } from '../../../shared/models/hooks.ts';
import * as g from '../../graph/index.ts';
import type { FeedValue } from '../../runtime/index.ts';
import type { Edit } from '../network/hook-points.ts';

/** Which positions are rewritten: all, or those where the mask [batch * seq] is not 0. */
type Positions = 'all' | Uint8Array;

/**
 * Only positions at which the value at the hook, as it comes to this intervention, has a projection onto a direction above a
 * threshold. `direction` [width] or [batch * width]; its norm counts.
 */
type Condition = { direction: Float32Array; above: number | readonly number[] };

type At = { hook: string; positions?: Positions; condition?: Condition };
export type Intervention =
  /** x + strength * v; v [width], or [batch * width] for one per row; strength one number or one per row. */
  | (At & { kind: 'add'; vector: Float32Array; strength?: number | readonly number[] })
  /**
   * The part of x within the span of `directions` ([count * width] or [batch * count * width], orthonormal rows) times
   * `factor`: 0 (the default) projects it out, other numbers weaken or strengthen it. One factor, or one per row.
   */
  | (At & { kind: 'project'; directions: Float32Array; count?: number; factor?: number | readonly number[] })
  /**
   * The projection of x onto `direction` (unit norm, [width] or [batch * width]) brought to between `least` and `most`, of
   * which one may be left out: x + (clip(x.d) - x.d) d. One bound, or one per row.
   */
  | (At & {
      kind: 'cap';
      direction: Float32Array;
      least?: number | readonly number[];
      most?: number | readonly number[];
    })
  /** x becomes `values`: [width] (a mean, say), [batch * width], or [batch * seq * width] (another run's tap). */
  | (At & { kind: 'replace'; values: Float32Array })
  /** x becomes build(x): any function of the graph, such as an SAE's reconstruction. `key` names it for compiling. */
  | (At & { kind: 'splice'; key: string; build: Splice; feeds?: Readonly<Record<string, FeedValue>> });

/** Builds the replacement of x [batch, seq, width]; `feed` declares an input that `feeds` fills. */
type Splice = (x: g.Tensor, feed: (name: string, shape: g.Shape) => g.Tensor) => g.Tensor;

/** An intervention ready for one batch: its part of the program, and its inputs. */
export type PreparedEdit = {
  hook: string;
  /** Equal signatures build equal programs. */
  signature: string;
  edit: Edit;
  feeds: Record<string, FeedValue>;
};

const unfit = (hook: string, what: string) => new SextantError('width_mismatch', `intervention at '${hook}': ${what}`);

const patterns = (hook: string) => unfit(hook, 'attention patterns can be replaced or spliced, at all positions');

/** @throws SextantError `width_mismatch` for a hook of attention patterns, which has no vectors */
function requireWidth(hook: string, width: number | null): number {
  if (width === null) {
    throw patterns(hook);
  }
  return width;
}

/**
 * Prepares intervention number `index` for `batch` rows of `seq` positions.
 * @throws SextantError `hook_unknown`, `width_mismatch`, `not_finite`
 */
export function prepareEdit(
  a: Architecture,
  intervention: Intervention,
  index: number,
  batch: number,
  seq: number,
): PreparedEdit {
  const { hook, kind, positions = 'all', condition } = intervention;
  const width = hookWidth(a, requireHook(a, hook));
  if (width === null && (positions !== 'all' || condition || !(kind === 'splice' || kind === 'replace'))) {
    throw patterns(hook);
  }
  const feeds: Record<string, FeedValue> = {};
  const feed = (part: string, shape: readonly number[], data: Float32Array | Uint8Array) => {
    const values = data instanceof Float32Array ? data : Float32Array.from(data);
    if (!values.every(Number.isFinite)) {
      const { layer } = parseHook(hook);
      const detail = `what is put in at '${hook}', in layer ${layer}, holds a value that is no number`;
      throw new SextantError('not_finite', detail);
    }
    feeds[`edit${index}.${part}`] = { shape, data: values };
  };
  const input = (part: string, ...shape: g.Dim[]) => g.input(`edit${index}.${part}`, ['batch', ...shape]);
  if (positions !== 'all') {
    if (positions.length !== batch * seq) {
      throw unfit(hook, `the mask needs ${batch} x ${seq} positions`);
    }
    feed('mask', [batch, seq, 1], positions);
  }
  if (condition) {
    const size = requireWidth(hook, width);
    feed('probe', [batch, 1, size], perRow(hook, "a condition's direction", condition.direction, size, batch));
    feed('above', [batch, 1, 1], Float32Array.from(rowFactors(hook, condition.above, batch)));
  }
  const select = (x: g.Tensor, y: g.Tensor) => {
    const here = positions === 'all' ? y : g.where(g.greater(input('mask', 'seq', 1), 0), y, x);
    const projection = condition && projected(x, input('probe', 1, requireWidth(hook, width)));
    return projection ? g.where(g.greater(projection, input('above', 1, 1)), here, x) : here;
  };
  const done = (detail: string | number, change: Edit): PreparedEdit => ({
    hook,
    signature: `${kind}@${hook}:${detail}:${positions === 'all' ? 'all' : 'mask'}${condition ? ':when' : ''}`,
    edit: (x) => select(x, change(x)),
    feeds,
  });
  switch (kind) {
    case 'add': {
      const size = requireWidth(hook, width);
      const vectors = perRow(hook, 'a vector', intervention.vector, size, batch);
      const strengths = rowFactors(hook, intervention.strength ?? 1, batch);
      feed(
        'vector',
        [batch, 1, size],
        vectors.map((value, i) => value * strengths[Math.floor(i / size)]!),
      );
      return done('', (x) => g.add(x, input('vector', 1, size)));
    }
    case 'project': {
      const size = requireWidth(hook, width);
      const count = intervention.count ?? 1;
      if (!(Number.isInteger(count) && count > 0)) {
        throw unfit(hook, `${count} directions; there must be one or more`);
      }
      const directions = perRow(hook, `${count} direction(s)`, intervention.directions, count * size, batch);
      requireOrthonormal(hook, directions, count, size);
      const change = rowFactors(hook, intervention.factor ?? 0, batch).map((factor) => factor - 1);
      feed('directions', [batch, count, size], directions);
      feed('change', [batch, 1, 1], Float32Array.from(change));
      return done(count, (x) => {
        const basis = input('directions', count, size);
        const within = g.matmul(g.matmul(x, basis, { transB: true }), basis);
        return g.add(x, g.mul(within, input('change', 1, 1)));
      });
    }
    case 'cap': {
      const size = requireWidth(hook, width);
      const { least = -LARGEST, most = LARGEST } = intervention;
      const direction = perRow(hook, 'a direction', intervention.direction, size, batch);
      requireOrthonormal(hook, direction, 1, size);
      const [low, high] = [rowFactors(hook, least, batch), rowFactors(hook, most, batch)];
      const crossed = low.findIndex((bound, row) => bound > high[row]!);
      if (crossed >= 0) {
        throw unfit(hook, `the least projection ${low[crossed]} is above the most, ${high[crossed]}`);
      }
      feed('direction', [batch, 1, size], direction);
      feed('least', [batch, 1, 1], Float32Array.from(low));
      feed('most', [batch, 1, 1], Float32Array.from(high));
      return done('', (x) => {
        const along = input('direction', 1, size);
        const now = projected(x, along);
        const then = g.minimum(g.maximum(now, input('least', 1, 1)), input('most', 1, 1));
        return g.add(x, g.mul(g.sub(then, now), along));
      });
    }
    case 'replace': {
      const { values } = intervention;
      if (width === null) {
        if (values.length !== batch * a.heads * seq * seq) {
          throw unfit(hook, `patterns need ${batch} x ${a.heads} x ${seq} x ${seq} values, got ${values.length}`);
        }
        feed('values', [batch, a.heads, seq, seq], values);
        return done('', () => input('values', a.heads, 'seq', 'seq'));
      }
      if (values.length === batch * seq * width) {
        feed('values', [batch, seq, width], values);
        return done('each', () => input('values', 'seq', width));
      }
      feed('values', [batch, 1, width], perRow(hook, 'the values', values, width, batch));
      return done('row', (x) => g.expandLike(input('values', 1, width), x));
    }
    case 'splice': {
      for (const [part, value] of Object.entries(intervention.feeds ?? {})) {
        feeds[`edit${index}.${part}`] = value;
      }
      return done(intervention.key, (x) =>
        intervention.build(x, (part, shape) => g.input(`edit${index}.${part}`, shape)),
      );
    }
    default:
      return intervention satisfies never;
  }
}

/** No projection is larger; float32 holds it. */
const LARGEST = 3e38;

/** x [batch, seq, width] along direction [batch, 1, width]: [batch, seq, 1]. */
const projected = (x: g.Tensor, direction: g.Tensor): g.Tensor => g.matmul(x, direction, { transB: true });

/** `size` numbers per row, from one row's or all rows'. */
function perRow(hook: string, what: string, values: Float32Array, size: number, batch: number): Float32Array {
  if (values.length === batch * size) {
    return values;
  }
  if (values.length !== size) {
    throw unfit(hook, `${what} must have ${size} numbers, or ${batch * size} for ${batch} rows; got ${values.length}`);
  }
  const all = new Float32Array(batch * size);
  for (let row = 0; row < batch; row++) {
    all.set(values, row * size);
  }
  return all;
}

function rowFactors(hook: string, factors: number | readonly number[], batch: number): readonly number[] {
  if (typeof factors === 'number') {
    return new Array<number>(batch).fill(factors);
  }
  if (factors.length !== batch) {
    throw unfit(hook, `${factors.length} factors for ${batch} rows`);
  }
  return factors;
}

/** Projecting along rows that are not orthonormal is not a projection. */
function requireOrthonormal(hook: string, directions: Float32Array, count: number, width: number): void {
  for (let start = 0; start < directions.length; start += count * width) {
    for (let i = 0; i < count; i++) {
      for (let j = 0; j <= i; j++) {
        let dot = 0;
        for (let k = 0; k < width; k++) {
          dot += directions[start + i * width + k]! * directions[start + j * width + k]!;
        }
        if (Math.abs(dot - (i === j ? 1 : 0)) > 1e-3) {
          throw unfit(
            hook,
            `directions must be orthonormal; rows ${j} and ${i} have the product ${dot.toPrecision(4)}`,
          );
        }
      }
    }
  }
}
