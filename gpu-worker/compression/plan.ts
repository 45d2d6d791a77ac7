/** What is to be done to a model's linear layers, checked against the model before any work begins. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Linear } from '../../shared/models/architecture.ts';
import { linearsOf, type ModelFolder, matchesAny } from '../lm/index.ts';

type CompressionMethod = 'magnitude' | 'wanda' | 'n_of_m' | 'sparsegpt' | 'rtn' | 'gptq' | 'awq';

export type CompressionPlan = {
  method: CompressionMethod;
  /** Share of zeros, for methods that prune. */
  share: number | null;
  /** n of every m inputs become zero. */
  pattern: { n: number; m: number } | null;
  /** Of a weight, for methods that round; 16 changes nothing. */
  bits: number | null;
  /** Inputs that share a scale; null: all of a row. */
  group: number | null;
  symmetric: boolean;
  /** Name patterns of weights; `*` stands for any characters. */
  linears: readonly string[];
  /** A share for each layer, in place of the one for all. */
  shares: readonly number[] | null;
};

export const rounds = (method: CompressionMethod): boolean => ['rtn', 'gptq', 'awq'].includes(method);
const BITS = [2, 3, 4, 5, 6, 7, 8, 16];

const wrong = (pointer: string, what: string) => new SextantError('data_invalid', `/${pointer}: ${what}`);

/**
 * The linear layers that the plan names, by block.
 * @throws SextantError `data_invalid` with a pointer, `model_unsupported` for a mixture of experts
 */
export function selectedLinears({ weights }: ModelFolder, { linears }: CompressionPlan): Linear[][] {
  if (weights.layers.some(({ experts }) => experts)) {
    throw new SextantError(
      'model_unsupported',
      '/model: the experts of a mixture cannot be compressed here, and a model of which they stay as they were is not what was asked for',
    );
  }
  const head = weights.head.weight.name;
  const all = weights.layers.flatMap(linearsOf).map(({ weight }) => weight.name);
  const others = [...new Set([weights.embedding.name, head])];
  const seen = new Set<string>();
  for (const [i, pattern] of linears.entries()) {
    if (all.some((name) => matchesAny([pattern], name))) {
      continue;
    }
    const named = others.find((name) => matchesAny([pattern], name));
    const aliased = pattern === 'lm_head.weight' && head === weights.embedding.name;
    if (aliased || named === weights.embedding.name) {
      if (seen.has(weights.embedding.name)) {
        throw wrong(`linears/${i}`, `'${pattern}' is the embedding, which is named already: the two are tied`);
      }
      seen.add(weights.embedding.name);
    }
    if (named || aliased) {
      continue;
    }
    throw wrong(`linears/${i}`, `no linear layer is called '${pattern}'; they are called such as ${all[0]}`);
  }
  const kept = weights.layers.map((layer) => linearsOf(layer).filter(({ weight }) => matchesAny(linears, weight.name)));
  if (kept.every((layer) => layer.length === 0)) {
    throw wrong('linears', 'embeddings and head stay as they are; name linear layers of the blocks');
  }
  return kept;
}

/** @throws SextantError `data_invalid` with a pointer to what is wrong */
export function requirePlan(plan: CompressionPlan, layers: number, selected: readonly (readonly Linear[])[]): void {
  const { method, share, bits, group, pattern, shares } = plan;
  if (rounds(method)) {
    if (bits === null || !BITS.includes(bits)) {
      throw wrong('bits', `${method} rounds to ${BITS.join(', ')} bits`);
    }
    if (share !== null || shares !== null || pattern !== null) {
      throw wrong(share !== null ? 'share' : shares ? 'shares' : 'pattern', `${method} rounds and prunes nothing`);
    }
  } else {
    if (bits !== null) {
      throw wrong('bits', `${method} prunes and rounds nothing`);
    }
    const given = [share, ...(shares ?? [])].filter((value) => value !== null);
    if (given.some((value) => !(value >= 0 && value < 1))) {
      throw wrong('share', 'must be at least 0 and below 1');
    }
    if (
      method === 'n_of_m' ? share !== null || shares !== null : pattern === null && share === null && shares === null
    ) {
      throw wrong('share', method === 'n_of_m' ? 'n_of_m takes a pattern, not a share' : `${method} needs a share`);
    }
    if (pattern && method !== 'n_of_m' && method !== 'sparsegpt') {
      throw wrong('pattern', `${method} takes a share; n_of_m and sparsegpt take patterns`);
    }
    if (pattern && !(pattern.n >= 0 && pattern.n < pattern.m)) {
      throw wrong('pattern', 'n must be below m');
    }
    if (shares && shares.length !== layers) {
      throw wrong('shares', `${shares.length} shares for a model of ${layers} layers`);
    }
  }
  const unit = rounds(method) ? (bits === 16 ? null : group) : (pattern?.m ?? null);
  const uneven = unit === null ? undefined : selected.flat().find((linear) => inputsOf(linear) % unit !== 0);
  if (uneven) {
    throw wrong(
      rounds(method) ? 'group' : 'pattern',
      `'${uneven.weight.name}' has ${inputsOf(uneven)} inputs, not a multiple of ${unit}`,
    );
  }
}

export const inputsOf = ({ weight, layout }: Linear): number => weight.shape[layout === 'out_in' ? 1 : 0]!;

/** Whether the plan leaves every weight as it is. */
export const changesNothing = ({ method, share, shares, bits, pattern }: CompressionPlan): boolean =>
  rounds(method) ? bits === 16 : pattern === null ? (shares ?? [share]).every((value) => value === 0) : pattern.n === 0;
