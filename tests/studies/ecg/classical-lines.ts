/** The classical lines that a network is measured against, each over a whole signal at one rate. */
import { bandPass, highPass, type Section } from '../../../gpu-worker/ecg/signal/butterworth.ts';
import { DRIFT_EDGE } from '../../../gpu-worker/ecg/signal/drift-edge.ts';
import { shrink } from '../../../gpu-worker/ecg/signal/wavelet.ts';
import { zeroPhase } from '../../../gpu-worker/ecg/signal/zero-phase.ts';

/** Muscle noise lies above, Hz. */
const MUSCLE_EDGE = 40;

export const CLASSICAL_LINES = ['identity', 'zero', 'band_pass', 'high_pass', 'wavelet', 'wavelet_high_pass'] as const;
export type ClassicalLine = (typeof CLASSICAL_LINES)[number];

/** Sections of both filters at a rate; below twice the upper edge the band-pass has none and is a high-pass. */
const filtersAt = (rate: number): { highPass: Section[]; bandPass: Section[] } => ({
  highPass: highPass(DRIFT_EDGE, rate),
  bandPass: rate > 2.2 * MUSCLE_EDGE ? bandPass(DRIFT_EDGE, MUSCLE_EDGE, rate) : highPass(DRIFT_EDGE, rate),
});

/** One line over one lead sampled at `rate` Hz. */
export function classical(line: ClassicalLine, x: Float64Array, rate: number): Float64Array {
  const filters = filtersAt(rate);
  switch (line) {
    case 'identity':
      return x;
    case 'zero':
      return new Float64Array(x.length);
    case 'band_pass':
      return zeroPhase(filters.bandPass, x);
    case 'high_pass':
      return zeroPhase(filters.highPass, x);
    case 'wavelet':
      return shrink(x).values;
    case 'wavelet_high_pass':
      return zeroPhase(filters.highPass, shrink(x).values);
  }
}
