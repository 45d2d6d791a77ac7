/** The public interface of circuits. */
export { EdgeAttribution } from './attribution/edge-attribution.ts';
export { componentsOf, readSource, requireOneShape, transferredRun } from './cross-model/transfer.ts';
export { ablated } from './network/ablation.ts';
export { type NodeModel, nodeModel } from './network/node-model.ts';
export { record } from './network/recording.ts';
export { directAttribution, directLogits, finalStreams } from './patching/direct-effect.ts';
export { EdgeRuns } from './patching/edge-effects.ts';
export { patchedVariants } from './patching/node-effects.ts';
export { type Example, foundReport } from './report/found-report.ts';
export { methodWords } from './report/wording.ts';
export { findCircuit } from './search/find-circuit.ts';
export { TaskRuns } from './search/task-runs.ts';
export { encodePairs } from './tasks/encode.ts';
export { greaterThanPairs } from './tasks/greater-than.ts';
export { ioiPairs } from './tasks/ioi.ts';
export { measureRows } from './tasks/metric.ts';
export type { Pair, WrittenPair } from './tasks/pair.ts';
export { parseTaskFile } from './tasks/task-file.ts';
