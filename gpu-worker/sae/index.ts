/** The public interface of sparse autoencoders. */
export { Encoder } from './codes/encoder.ts';
export { latentClamp } from './codes/latent-clamp.ts';
export type { SaeParameters } from './codes/parameters.ts';
export { denseCodes, type SparseCodes } from './codes/sparse-codes.ts';
export { VARIANTS } from './codes/variants.ts';
export { evaluatedSae, manifestOfSwept, statedProgress, statedSwept, sweepMember } from './contract-names.ts';
export { readSae, SAE_FILES } from './interchange/read.ts';
export { CONFIG_FILE, foldScale, saelensFolder, WEIGHTS_FILE } from './interchange/saelens.ts';
export { tokenCodes } from './latents/token-codes.ts';
export { densitySvg } from './measures/density-plot.ts';
export { encodeActivations, measure, reconstruct, type TrainedSae } from './measures/evaluate.ts';
export { type HeldOut, heldOutActivations } from './measures/held-out.ts';
export { HeldOutEvaluation, type SaeEvaluation } from './measures/held-out-evaluation.ts';
export { Site, type SiteScores } from './measures/loss-recovered.ts';
export { evaluateRows } from './measures/rows-evaluation.ts';
export { labelledTasks } from './probes/labelled-tasks.ts';
export { separatingLatent } from './probes/latent-choice.ts';
export { trainProbe } from './probes/linear-probe.ts';
export { spellingWords, type Vocabulary } from './probes/spelling.ts';
export { sampleRows } from './rows/file-blocks.ts';
export { openRowFile } from './rows/row-file.ts';
export { RowFiles } from './rows/row-files.ts';
export { measureSweep, sweepWarnings } from './trained-sweep.ts';
export type { ActivationSource } from './training/activation-source.ts';
export { defaultRate, type SaeConfiguration, saeConfiguration } from './training/configuration.ts';
export { DenseTrainer } from './training/dense-trainer.ts';
export { activationStatistics } from './training/initialise.ts';
export { makeTrainer } from './training/make-trainer.ts';
export { type SweepMember, trainSweep } from './training/sweep.ts';
export {
  restoredSweep,
  type SweepCheckpoint,
  SweepFiles,
  type SweepStore,
  storedSweep,
  sweepStateSchema,
} from './training/sweep-checkpoint.ts';
export { fileSource, trainingSource } from './training/training-source.ts';
