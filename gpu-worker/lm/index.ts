/** The public interface of language models. */
export { statedTraining, trainSettings } from './contract-names.ts';
export {
  type CorpusFile,
  type Document,
  fileDocuments,
  fileRows,
  type Place,
  surveyFile,
} from './corpus/corpus-file.ts';
export {
  type CorpusPosition,
  type DocumentSource,
  type Passage,
  PassageReading,
  type ReadingOptions,
} from './corpus/passages.ts';
export { AXES, type Axis, announcement, isSigned } from './corpus/planted/axes.ts';
export { HEADER, PlantedLanguage } from './corpus/planted/language.ts';
export { repeated, shuffled } from './corpus/sequences.ts';
export { TextTally } from './corpus/text-tally.ts';
export {
  argMax,
  type CrossEntropy,
  crossEntropy,
  klDivergence,
  logProbabilities,
  meanDivergence,
  nextTokenLogits,
  rowOf,
  targetAccuracy,
  tokenSetProbability,
  type WeightedSequence,
} from './evaluate.ts';
export type { ActivationShard } from './extraction/activation-shard.ts';
export { ActivationStatistics } from './extraction/activation-statistics.ts';
export { type ExtractionPlace, extractActivations, type HookWidths, hookWidths } from './extraction/extract.ts';
export { passagesOfPart } from './extraction/part.ts';
export { generate } from './generation/generate.ts';
export { generateInBatches } from './generation/generate-batches.ts';
export type { GeneratedToken, Generation } from './generation/generation.ts';
export { GenerationThreads } from './generation/generation-threads.ts';
export type { GenerationIntervention } from './generation/renewal.ts';
export { RunningBatch } from './generation/running-batch.ts';
export { likeliest } from './generation/sampling.ts';
export { TextGrowth } from './generation/text-growth.ts';
export { activations, groups, passes, type Sequence } from './inference/activations.ts';
export { makeBatch, positionsOf, type TokenRows } from './inference/batch.ts';
export { blockwiseLoss, passesOf } from './inference/block-loss.ts';
export { BlockRunner, type BlockStream, weightsOfBlock } from './inference/blocks.ts';
export type { Intervention } from './inference/interventions.ts';
export { LanguageModel, loadModel } from './inference/model.ts';
export type { ForwardRequest, ForwardResult } from './inference/pass.ts';
export { maskName, storedParameters } from './inference/programs.ts';
export { Grid } from './network/grid.ts';
export { headOutputs, headProjection } from './network/head-weights.ts';
export { TappedHookPoints } from './network/hook-points.ts';
export { norm as layerNormOf, type Parameters, value as weightValue } from './network/layers.ts';
export { everyLinear, linearsOf } from './network/linears.ts';
export { paddedMask } from './network/masks.ts';
export type { PartStreams } from './network/projections.ts';
export { rotaryTables } from './network/rotary.ts';
export { headLogits, mlp as mlpHalf, transformer } from './network/transformer.ts';
export { differingSize } from './one-shape.ts';
export { byteTokenizer } from './tokenizer/byte-tokenizer.ts';
export { renderChat } from './tokenizer/chat.ts';
export { tokenText } from './tokenizer/token-text.ts';
export { readTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts';
export { heldOutLoss, plantedLoss } from './training/held-out-loss.ts';
export { type TrainedModel, trainLanguageModel } from './training/train.ts';
export { lossGraph } from './training/training-graph.ts';
export { weightGradients } from './training/weight-gradients.ts';
export { writeEditedFolder } from './weights/edited-folder.ts';
export { type ModelFolder, readFolder, readWeight, storageOf } from './weights/folder.ts';
export { fetchModel } from './weights/hub.ts';
export { initialisers } from './weights/initialise.ts';
export { copyFiles, KEPT_FILES, TOKENIZER_FILES } from './weights/kept-files.ts';
export { isAdapter, mergedWeights } from './weights/lora.ts';
export { matchesAny } from './weights/name-patterns.ts';
export { readWeightsOfFile } from './weights/quantised/read.ts';
export { readHeader as readSafetensorsHeader } from './weights/safetensors-file.ts';
export { type SavedTokenizer, saveFolder } from './weights/save.ts';
export {
  SIDE_PATHS_FILE,
  type SidePath,
  type SidePaths,
  sidePathFile,
  sizesOf,
  withPair,
} from './weights/side-paths.ts';
export { readJson } from './weights/stored-tensors.ts';
