/** A study in the result's own names. */
import type { StudyParts } from './study-report.ts';

export const statedStudy = ({ summary }: StudyParts, pairs: { trained: number; read: number }) => ({
  verdicts: summary.verdicts,
  checkpoints: summary.checkpoints.map(({ compared, effects: _effects, attribution: _attribution, ...point }) => ({
    ...point,
    pearson: compared?.pearson ?? null,
  })),
  pairs,
});
