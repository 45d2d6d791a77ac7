/** The public interface of compression. */

export type { LatentDrift } from './autoencoders/latent-drift.ts';
export { nonzeros, prunedSae } from './autoencoders/pruned-sae.ts';
export { type Matching, retrainingRows, retrainSae } from './autoencoders/retraining.ts';
export { SaeNormSums } from './autoencoders/sae-norms.ts';
export { type SaeNorms, type SaeRule, saeMasks } from './autoencoders/sae-pruning.ts';
export { CompressionStudy } from './autoencoders/study.ts';
export { compareModels, requireOneShape } from './compare.ts';
export { compressFolder } from './compressed-folder.ts';
export { planOf, statedCopy, statedTotals } from './contract-names.ts';
export { outIn } from './files/linear-layout.ts';
export type { Shard } from './files/shards.ts';
export { roundToNearest } from './methods/grids.ts';
export { lowest, type Mask, masked, scores } from './methods/masks.ts';
export { roundingSweep, sparseSweep } from './methods/sweep.ts';
export { type CompressionPlan, requirePlan, selectedLinears } from './plan.ts';
export { compressionPlots, layerErrorPlot } from './plots/compression-plots.ts';
export { studyReport } from './plots/study-plots.ts';
export type { BlockReport } from './report.ts';
export { Gram, outputEnergy } from './statistics/gram.ts';
export { hessianOf } from './statistics/hessian.ts';
export { Products } from './statistics/products.ts';
