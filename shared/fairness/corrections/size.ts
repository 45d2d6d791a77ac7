/** What a correction costs, from the sizes in the request alone, and whether the edge carries it out. */
import { SextantError } from '../../contracts/problem.ts';
import { layerMs, mappingMs, momentsMs, requireFits, solveMs } from '../costs.ts';
import type { Correction, GroupData } from './document.ts';

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
  const job = c.method === 'lookahead_refit' ? 'fairness.fit_lookahead' : 'fairness.edit_layer';
  const width = c.method === 'layer' ? Math.max(c.weights.length, c.weights[0]!.length) : 0;
  if (width > EDGE_WIDTH) {
    throw new SextantError(
      'computation_too_large',
      `layers up to ${EDGE_WIDTH} wide are corrected at once, this one is ${width} wide; create a job of type ${job} instead`,
      { details: { job_type: job, width, largest_width: EDGE_WIDTH } },
    );
  }
  requireFits(correctionMs(c), job);
}
