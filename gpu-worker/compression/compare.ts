/** Two models of one shape on the same text: their outputs, their streams layer by layer, and their matrices. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { stream } from '../../shared/math/random.ts';
import {
  argMax,
  BlockRunner,
  differingSize,
  everyLinear,
  klDivergence,
  type LanguageModel,
  readWeight,
  rowOf,
  weightsOfBlock,
} from '../lm/index.ts';
import { bootstrapOverUnits } from '../study/index.ts';

const SITES = ['attn_out', 'mlp_out', 'resid_post'] as const;
/** Distinct values are counted up to here. */
const MOST_DISTINCT = 65_536;

type Measured = { estimate: number; low: number | null; high: number | null };
type SiteDifference = {
  layer: number;
  site: string;
  relative_error: number;
  cosine: number;
  norm_ratio: number;
};
type LayerDifference = { layer: number; relative_error: number; arisen: number; arisen_share: number };
type MatrixDifference = {
  name: string;
  sparsity: number;
  other_sparsity: number;
  distinct: number;
  other_distinct: number;
  relative_change: number;
};
type Difference = {
  loss: Measured;
  other_loss: Measured;
  kl: Measured;
  agreement: Measured;
  layers: LayerDifference[];
  sites: SiteDifference[];
  matrices: MatrixDifference[];
};

/** @throws SextantError `data_invalid` naming the first size in which the two differ */
export function requireOneShape(a: LanguageModel, b: LanguageModel, pointer: string): void {
  const sizes = ['family', 'layers', 'width', 'heads', 'kvHeads', 'headDim', 'mlpWidth', 'vocabulary'] as const;
  const size = differingSize(a, b, sizes);
  if (size) {
    throw new SextantError(
      'data_invalid',
      `${pointer}: its ${size} is ${b.architecture[size]}, that of the first model ${a.architecture[size]}`,
    );
  }
}

/** Sums of one site over all tokens. */
class SiteSums {
  #difference = 0;
  #square = 0;
  #cosine = 0;
  #ratio = 0;
  #tokens = 0;

  add(a: Float32Array, b: Float32Array, width: number): void {
    for (let at = 0; at < a.length; at += width) {
      let [aa, bb, ab] = [0, 0, 0];
      for (let i = at; i < at + width; i++) {
        aa += a[i]! * a[i]!;
        bb += b[i]! * b[i]!;
        ab += a[i]! * b[i]!;
        this.#difference += (a[i]! - b[i]!) ** 2;
      }
      this.#square += aa;
      // A vector of zeros points nowhere: equal ones count as alike.
      this.#cosine += aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : aa === bb ? 1 : 0;
      this.#ratio += aa > 0 ? Math.sqrt(bb / aa) : aa === bb ? 1 : 0;
      this.#tokens++;
    }
  }

  get result() {
    return {
      relative_error: this.#square > 0 ? this.#difference / this.#square : 0,
      cosine: this.#cosine / this.#tokens,
      norm_ratio: this.#ratio / this.#tokens,
    };
  }
}

/** @param sequences one a document; intervals are over them */
export async function compareModels(
  dense: LanguageModel,
  other: LanguageModel,
  sequences: readonly ArrayLike<number>[],
  { seed, threads, progress }: { seed: number; threads?: number | undefined; progress?: (tokens: number) => void },
): Promise<Difference> {
  requireOneShape(dense, other, '/other');
  const { layers, width, vocabulary } = dense.architecture;
  const hooks = SITES.flatMap((site) => Array.from({ length: layers }, (_, layer) => `${site}.${layer}`));
  const sums = new Map(hooks.map((hook) => [hook, new SiteSums()]));
  /** Of each sequence: predicted tokens, losses of both, positions, divergence, agreements. */
  const units = new Float64Array(sequences.length * PARTS);
  let tokens = 0;
  for (const [unit, ids] of sequences.entries()) {
    const [here, there] = [dense, other].map((model) => model.forward({ ids: [ids], taps: hooks, losses: true }));
    const [a, b] = [await here!, await there!];
    for (const hook of hooks) {
      sums.get(hook)!.add(a.taps[hook]!.data, b.taps[hook]!.data, width);
    }
    const own = units.subarray(unit * PARTS, (unit + 1) * PARTS);
    for (let i = 0; i < ids.length; i++) {
      const [p, q] = [rowOf(a.logits!.data, vocabulary, i), rowOf(b.logits!.data, vocabulary, i)];
      own[3]! += 1;
      own[4]! += klDivergence(p, q);
      own[5]! += argMax(p) === argMax(q) ? 1 : 0;
      if (i + 1 < ids.length) {
        own[0]! += 1;
        own[1]! += a.losses![i]!;
        own[2]! += b.losses![i]!;
      }
    }
    tokens += ids.length;
    progress?.(tokens);
  }
  const [loss, other_loss, kl, agreement] = measured(units, seed) as [Measured, Measured, Measured, Measured];
  return {
    loss,
    other_loss,
    kl,
    agreement,
    layers: await layerDifferences(dense, other, sequences, threads),
    sites: hooks.map((hook) => {
      const [site, layer] = hook.split('.') as [string, string];
      return { layer: Number(layer), site, ...sums.get(hook)!.result };
    }),
    matrices: dense.folder.weights.layers
      .flatMap(everyLinear)
      .map(({ weight }) =>
        matrixDifference(weight.name, readWeight(dense.folder, weight.name), readWeight(other.folder, weight.name)),
      ),
  };
}

const PARTS = 6;

function measured(units: Float64Array, seed: number): Measured[] {
  const measures = (sum: Float64Array, out: Float64Array) => {
    out[0] = sum[1]! / sum[0]!;
    out[1] = sum[2]! / sum[0]!;
    out[2] = sum[4]! / sum[3]!;
    out[3] = sum[5]! / sum[3]!;
  };
  const intervals = bootstrapOverUnits({
    sums: units,
    parts: PARTS,
    size: 4,
    measures,
    random: stream(seed, 'compare/intervals'),
  });
  if (intervals) {
    return intervals.map(({ estimate, low, high }) => ({ estimate, low, high }));
  }
  const out = new Float64Array(4);
  measures(units, out);
  return Array.from(out, (estimate) => ({ estimate, low: null, high: null }));
}

/** Error of the stream after each layer, and what arises there when the second model reads the first one's stream. */
async function layerDifferences(
  dense: LanguageModel,
  other: LanguageModel,
  sequences: readonly ArrayLike<number>[],
  threads: number | undefined,
): Promise<LayerDifference[]> {
  const [a, b] = [new BlockRunner(dense.folder, { threads }), new BlockRunner(other.folder, { threads })];
  try {
    const passes = sequences.map((ids) => [ids]);
    const others = await b.embed(passes);
    const rows = (await a.embed(passes)).map((stream, i) => ({ a: stream, b: others[i]! }));
    const found: LayerDifference[] = [];
    for (let layer = 0; layer < dense.architecture.layers; layer++) {
      const values = (runner: BlockRunner) =>
        new Map(weightsOfBlock(runner.folder, layer).map(({ name }) => [name, readWeight(runner.folder, name)]));
      const [clean, changed] = [values(a), values(b)];
      let [whole, all, arisen] = [0, 0, 0];
      for (const row of rows) {
        const want = { inputs: [], output: true };
        const right = (await a.pass(layer, row.a, clean, want)).output!;
        const fresh = (await b.pass(layer, row.a, changed, want)).output!;
        const wrong = (await b.pass(layer, row.b, changed, want)).output!;
        for (let i = 0; i < right.length; i++) {
          whole += right[i]! ** 2;
          all += (wrong[i]! - right[i]!) ** 2;
          arisen += (fresh[i]! - right[i]!) ** 2;
        }
        row.a.data = right;
        row.b.data = wrong;
      }
      found.push({
        layer,
        relative_error: whole > 0 ? all / whole : 0,
        arisen: whole > 0 ? arisen / whole : 0,
        arisen_share: all > 0 ? Math.min(1, arisen / all) : 0,
      });
    }
    return found;
  } finally {
    await a.release();
    await b.release();
  }
}

function matrixDifference(name: string, a: Float32Array, b: Float32Array): MatrixDifference {
  let [difference, square] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    square += a[i]! ** 2;
  }
  return {
    name,
    sparsity: zeroShare(a),
    other_sparsity: zeroShare(b),
    distinct: distinct(a),
    other_distinct: distinct(b),
    relative_change: square > 0 ? Math.sqrt(difference / square) : 0,
  };
}

const zeroShare = (w: Float32Array): number => w.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / w.length;

function distinct(w: Float32Array): number {
  const seen = new Set<number>();
  for (const value of w) {
    seen.add(value);
    if (seen.size >= MOST_DISTINCT) {
      break;
    }
  }
  return seen.size;
}
