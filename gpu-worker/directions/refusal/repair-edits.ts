/**
 * Four ways to write a base model's refusal direction back into a compressed copy, each as paths of rank one beside its
 * matrices (reconstructed from arXiv:2504.04215; A on one block is its AIRD).
 */
import type { ModelFolder, SidePath } from '../../lm/index.ts';
import { norm } from '../vectors.ts';
import { type Half, scaledWriters, writersOf, writtenAlong } from './weight-edits.ts';

const REPAIR_VARIANTS = ['A', 'B', 'C', 'D'] as const;
export type RepairVariant = (typeof REPAIR_VARIANTS)[number];

type RepairEdit = {
  variant: RepairVariant;
  /** How far; for C the multiple of the raw vector. 0 changes nothing. */
  alpha: number;
  /** The block that is edited; D edits all. */
  block: number;
  halves: readonly Half[];
  /** The base model's raw vector. */
  vector: ArrayLike<number>;
  /** The base model, whose matrices B copies from. */
  base: ModelFolder;
};

export function repairPaths(
  copy: ModelFolder,
  { variant, alpha, block, halves, vector, base }: RepairEdit,
): Map<string, SidePath> {
  const size = norm(vector);
  const unit = Float64Array.from(vector, (value) => value / size);
  switch (variant) {
    // What the block writes along u times 1 + alpha.
    case 'A':
      return scaledWriters(copy, unit, 1 + alpha, { blocks: [block], halves });
    // What the block writes along u, alpha of the way to what the base's block writes along it.
    case 'B': {
      const theirs = writersOf(base, { blocks: [block], halves });
      return new Map(
        writersOf(copy, { blocks: [block], halves }).map((linear, i) => {
          const [own, other] = [writtenAlong(copy, linear, unit), writtenAlong(base, theirs[i]!, unit)];
          const right = Float32Array.from(own, (value, j) => alpha * (other[j]! - value));
          return [linear.weight.name, { pair: { left: Float32Array.from(unit), right }, constant: null }];
        }),
      );
    }
    // A constant push along the raw vector, whatever the block reads.
    case 'C':
      return new Map(
        writersOf(copy, { blocks: [block], halves: ['mlp'] }).map((linear) => [
          linear.weight.name,
          { pair: null, constant: Float32Array.from(vector, (value) => alpha * value) },
        ]),
      );
    // A on every block.
    case 'D':
      return scaledWriters(copy, unit, 1 + alpha, { halves });
    default:
      return variant satisfies never;
  }
}

/** Frobenius norm of everything that the paths add. */
export const editNorm = (paths: ReadonlyMap<string, SidePath>): number =>
  Math.hypot(
    ...[...paths.values()].map(({ pair, constant }) =>
      Math.hypot(pair ? norm(pair.left) * norm(pair.right) : 0, constant ? norm(constant) : 0),
    ),
  );
