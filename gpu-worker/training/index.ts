/** The public interface of the training layer. */
export {
  bytesOfArrays,
  groupsBelow,
  readArrays,
  type StoredArray,
  type StoredArrays,
  writeArrays,
} from './array-files.ts';
export type { Checkpoint } from './checkpoint.ts';
export { type Constraint, decoupledDecay, type Match, matches, nonNegative, unitRows } from './constraints.ts';
export { type Chunk, type ChunkSource, fromSteps } from './data.ts';
export type { ParameterGroup } from './program.ts';
export { type ChunkResult, Trainer, type TrainerOptions } from './trainer.ts';
