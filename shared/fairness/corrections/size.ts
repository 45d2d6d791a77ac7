/** What a correction costs, from the sizes in the request alone, and whether the edge carries it out. */
import { SextantError } from '../../contracts/problem.ts';
import { layerMs, mappingMs, momentsMs, requireFits, solveMs } from '../costs.ts';
import type { Correction, GroupData } from './document.ts';

/** The job that carries out every correction, of any size, by the same document. */
export const CORRECTION_JOB = 'fairness.correct';

/** Widest layer that is corrected synchronously. */
const EDGE_WIDTH = 64;

const rowCount = (data: GroupData): number => ('rows' in data ? data.rows.length : 0);
const groupCount = (data: GroupData): number => ('moments' in data ? data.moments.length : 2);
/** CPU time the correction needs, in milliseconds, from the sizes in the request. */
export function correctionMs(c: Correction): number {
  switch (c.method) {
    case 'scalar_head':
      return solveMs(c.weights.length) + momentsMs(rowCount(c.data), c.weights.length);
    case 'layer':
    case 'layer_mean': {
      const [m, d] = [c.weights.length, c.weights[0]!.length];
      const work = c.method === 'layer' ? layerMs(m, d, groupCount(c.data)) : solveMs(d);
      return work + momentsMs(rowCount(c.data), d);
    }
    case 'retune':
      return c.ratios.length * solveMs(c.vectors.length);
    case 'barycentre':
      return mappingMs(c.scores.length + (c.apply?.scores.length ?? c.scores.length), new Set(c.groups).size);
    case 'group_thresholds': {
      const groups = new Set(c.groups).size;
      // Every candidate is looked up in every hull; without a grid there may be one for every row.
      const candidates = Math.min(c.grid ?? c.scores.length, 2000);
      return mappingMs(c.scores.length, groups) + mappingMs(candidates, groups);
    }
    case 'gaussian_barycentre':
      return 0;
    case 'lookahead_refit':
      return c.settings.length * solveMs(c.moments.free.length + 4);
    default:
      return c satisfies never;
  }
}

/** Refuses a request that is too large for the edge: computation_too_large names the job that does it. */
export function requireCorrectionFits(c: Correction): void {
  const width = c.method === 'layer' ? Math.max(c.weights.length, c.weights[0]!.length) : 0;
  if (width > EDGE_WIDTH) {
    throw new SextantError(
      'computation_too_large',
      `layers up to ${EDGE_WIDTH} wide are corrected at once, this one is ${width} wide; create a job of type ${CORRECTION_JOB} instead`,
      { details: { job_type: CORRECTION_JOB, width, largest_width: EDGE_WIDTH } },
    );
  }
  requireFits(correctionMs(c), CORRECTION_JOB);
}
