/** The report of a comparison: its frontier, the methods at equal sparsity, and pictures of the chosen model. */
import type { StudyReport } from '../../study/index.ts';
import { comparedAtEqualSparsity, frontierOf, measuredOn } from './comparison.ts';
import { statedAtEqualSparsity, statedFrontier } from './contract-names.ts';
import type { PointFigures, PointModel } from './measure.ts';
import { frontierPicture, tilePictures } from './pictures.ts';

type Comparison = {
  figures: readonly PointFigures[];
  chosen: PointFigures;
  /** That of the chosen point. */
  model: PointModel;
  /** What its values on the test rows are, in words. */
  measure: string;
  warnings: readonly string[];
  /** The unit of the penalties. */
  critical: number;
};

export function comparisonReport({ figures, chosen, model, measure, warnings, critical }: Comparison) {
  const frontier = statedFrontier(frontierOf(figures));
  const equal = statedAtEqualSparsity(comparedAtEqualSparsity(figures));
  const [marked] = measuredOn('test', [chosen]);
  if (!marked) {
    throw new RangeError('the chosen point has no figures on the test rows');
  }
  const picture = frontierPicture(measuredOn('test', figures), { label: measure, chosen: marked });
  const report: StudyReport = {
    kind: 'block_sparse',
    body: { frontier, at_equal_sparsity: equal, warnings, critical_lambda: critical },
    plots: [...tilePictures(model), { name: 'frontier', svg: picture }],
  };
  return { frontier, equal, report };
}
