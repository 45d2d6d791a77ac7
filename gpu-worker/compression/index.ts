/** The public interface of compression. */
export { compareModels, type Difference, requireOneShape } from './compare.ts';
export { type BlockReport, type Compressed, compressModel, type MatrixReport } from './compress.ts';
export { compressionPlots, layerErrorPlot } from './compression-plots.ts';
export { errorBound } from './error-bound.ts';
export { Gram, outputEnergy } from './gram.ts';
export { latentDrift } from './latent-drift.ts';
export { roundToNearest } from './methods/grids.ts';
export { hessianOf } from './methods/hessian.ts';
export { lowest, type Mask, masked, scores } from './methods/masks.ts';
export { roundingSweep, sparseSweep } from './methods/sweep.ts';
export { type CompressionPlan, changesNothing, requirePlan, selectedLinears } from './plan.ts';
export { Products } from './products.ts';
export { nonzeros, prunedSae } from './pruned-sae.ts';
export { SaeNormSums } from './sae-norms.ts';
export { type SaeNorms, type SaeRule, saeMasks } from './sae-pruning.ts';
export { requireMatchedL0, scoreVariants, type VariantOf, type VariantScores } from './sae-variants.ts';
export type { Shard } from './shards.ts';
export { driftPlot, recoveredPlot, survivalPlot } from './study-plots.ts';
