/** The public interface of what every study needs. */
export { BackgroundSaves } from './background-saves.ts';
export { bootstrapOverUnits, type UnitBootstrap } from './bootstrap.ts';
export type { BlobContent, Checkpoints, SavedState } from './checkpoints.ts';
export { type Prompt, promptKey, requireDisjoint, type Shares, splitPrompts, splitRows } from './prompt-set.ts';
export { type ReportFile, reportFiles, type StudyReport } from './report.ts';
export { type PointSweep, sweepPoints } from './sweep.ts';
