/** The public interface of compression. */

export { compareModels, type Difference, requireOneShape } from './compare.ts';
export { type BlockReport, type Compressed, compressModel, type MatrixReport } from './compress.ts';
export { compressionPlots, layerErrorPlot } from './compression-plots.ts';
export { type CompressionPlan, changesNothing, requirePlan, selectedLinears } from './plan.ts';
export { Products } from './products.ts';
export { nonzeros, prunedSae } from './pruned-sae.ts';
export { SaeNormSums } from './sae-norms.ts';
export { type SaeRule, saeMasks } from './sae-pruning.ts';
export type { Shard } from './shards.ts';
