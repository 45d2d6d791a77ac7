/** The public interface of what every study needs. */
export { BackgroundSaves } from './background-saves.ts';
export { bootstrapOverUnits } from './bootstrap.ts';
export type { BlobContent, Checkpoints } from './checkpoints.ts';
export { convergedLogistic } from './converged-logistic.ts';
export { manifestOf } from './manifest.ts';
export { figure, reportPage } from './page.ts';
export { promptKey, requireDisjoint, type Shares, splitPrompts, splitRows } from './prompt-set.ts';
export { type ReportFile, reportFiles, requireFiniteNumbers, type StudyReport } from './report.ts';
export { sweepPoints } from './sweep.ts';
