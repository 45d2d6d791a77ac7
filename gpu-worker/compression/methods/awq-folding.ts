/** The scales of AWQ within one block: which layers share an input, what gives it, and what is divided by them there. */
import type { Linear, Norm } from '../../../shared/models/architecture.ts';
import { linearsOf, type ModelFolder } from '../../lm/index.ts';
import { asStored, outIn } from '../files/linear-layout.ts';
import type { CompressionPlan } from '../plan.ts';
import type { InputSums } from '../statistics/input-sums.ts';
import type { Products } from '../statistics/products.ts';
import { awqScales, scaledColumns } from './awq.ts';
import { gridKindOf } from './matrix-compression.ts';

/** What gives an input: a norm, or the rows of a linear layer that reach it one to one. */
type Source = { norm: Norm } | { linear: Linear };

export class AwqFolding {
  /** Weights of the block that are no longer as they were: scaled columns, and sources divided by the scales. */
  readonly changed = new Map<string, Float32Array>();
  readonly #scales = new Map<string, Float32Array>();
  readonly #divided = new Map<string, Float32Array>();

  /** Scales for every input whose readers are all to be compressed and whose source can take their inverse. */
  static async of(
    products: Products,
    model: ModelFolder,
    layer: number,
    linears: readonly Linear[],
    dense: ReadonlyMap<string, Float32Array>,
    sums: ReadonlyMap<string, InputSums>,
    plan: CompressionPlan,
  ): Promise<AwqFolding> {
    const folding = new AwqFolding();
    const chosen = new Set(linears.map(({ weight }) => weight.name));
    const options = { kind: gridKindOf(plan), bits: plan.bits!, group: plan.group };
    for (const { readers, source } of inputsOfBlock(model, layer)) {
      if (!source || !readers.every(({ weight }) => chosen.has(weight.name))) {
        continue;
      }
      const own = sums.get(readers[0]!.weight.name)!;
      const current = (name: string) => folding.changed.get(name) ?? dense.get(name)!;
      const weights = readers.map((reader) => outIn(reader, dense.get(reader.weight.name)!));
      const { scales, exponent } = await awqScales(products, weights, own, options);
      if (exponent === 0) {
        continue;
      }
      for (const reader of readers) {
        const { name } = reader.weight;
        folding.#scales.set(name, scales);
        folding.changed.set(name, asStored(reader, scaledColumns(outIn(reader, current(name)), scales)));
      }
      folding.#divide(source, scales, current, model.architecture.norm.weightOffset);
    }
    return folding;
  }

  /** What a rounded matrix does to the block's own, unscaled input and output. */
  effective({ weight }: Linear, values: Float32Array): Float32Array {
    const scales = this.#scales.get(weight.name);
    const rows = this.#divided.get(weight.name);
    if (!scales && !rows) {
      return values;
    }
    const inputs = scales?.length ?? values.length / rows!.length;
    return values.map(
      (value, i) => (value / (scales ? scales[i % inputs]! : 1)) * (rows ? rows[Math.floor(i / inputs)]! : 1),
    );
  }

  #divide(source: Source, scales: Float32Array, current: (name: string) => Float32Array, offset: number): void {
    if ('norm' in source) {
      const { weight, bias } = source.norm;
      this.changed.set(
        weight.name,
        current(weight.name).map((value, i) => (value + offset) / scales[i]! - offset),
      );
      if (bias) {
        this.changed.set(
          bias.name,
          current(bias.name).map((value, i) => value / scales[i]!),
        );
      }
      return;
    }
    const { linear } = source;
    const rows = outIn(linear, current(linear.weight.name));
    const inputs = rows.length / scales.length;
    const divided = rows.map((value, i) => value / scales[Math.floor(i / inputs)]!);
    this.changed.set(linear.weight.name, asStored(linear, divided));
    this.#divided.set(linear.weight.name, scales);
    if (linear.bias) {
      this.changed.set(
        linear.bias.name,
        current(linear.bias.name).map((value, i) => value / scales[i]!),
      );
    }
  }
}

/** The inputs of a block's linear layers: who reads each, and what gives it; null where nothing can take an inverse. */
function inputsOfBlock(model: ModelFolder, layer: number): { readers: Linear[]; source: Source | null }[] {
  const { architecture: a, weights } = model;
  const block = weights.layers[layer]!;
  const { qkv, output, gate, up, down } = block;
  const separate = 'q' in qkv;
  const heads: Source | null = block.attentionSubNorm
    ? { norm: block.attentionSubNorm }
    : separate && a.heads === a.kvHeads
      ? { linear: qkv.v }
      : null;
  const inner: Source | null = block.mlpSubNorm ? { norm: block.mlpSubNorm } : gate && up ? { linear: up } : null;
  const behind = (norm: Norm | null): Source | null => norm && { norm };
  const found: { readers: Linear[]; source: Source | null }[] = [
    { readers: separate ? [qkv.q, qkv.k, qkv.v] : [qkv.fused], source: behind(block.attentionNorm) },
    { readers: [output], source: heads },
    { readers: [gate, up].filter((one) => one !== null), source: behind(block.mlpNorm) },
    { readers: down ? [down] : [], source: inner },
  ];
  return found.filter(({ readers }) => readers.every((reader) => linearsOf(block).includes(reader)));
}
