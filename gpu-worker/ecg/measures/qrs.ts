/** QRS complexes in one lead at the network's rate: energy of 5 to 15 Hz against a threshold that follows the signal. */
import { NETWORK_RATE } from '../rate.ts';
import { bandPass } from '../signal/butterworth.ts';
import { zeroPhase } from '../signal/zero-phase.ts';

const seconds = (t: number): number => Math.round(t * NETWORK_RATE);
const [SMOOTHING, REFRACTORY, MEMORY] = [seconds(0.12), seconds(0.25), seconds(8)];
/** Share of the usual peak that a complex reaches. */
const SHARE = 0.3;

/** Samples of the complexes' centres (after Pan and Tompkins 1985, with filters that do not shift). */
export function findQrs(lead: Float64Array): number[] {
  if (lead.length < 2 * REFRACTORY) {
    return [];
  }
  const steep = zeroPhase(bandPass(5, 15, NETWORK_RATE), lead);
  const energy = new Float64Array(lead.length);
  let sum = 0;
  const slope = (i: number): number => (i > 0 && i < steep.length - 1 ? (steep[i + 1]! - steep[i - 1]!) ** 2 : 0);
  for (let i = 0; i < lead.length + SMOOTHING; i++) {
    if (i < lead.length) {
      sum += slope(i);
    }
    if (i >= SMOOTHING) {
      sum -= slope(i - SMOOTHING);
    }
    const at = i - (SMOOTHING >> 1);
    if (at >= 0 && at < lead.length) {
      energy[at] = sum;
    }
  }
  const found: number[] = [];
  const thresholds = usualPeaks(energy);
  for (let i = 1; i < energy.length - 1; i++) {
    const value = energy[i]!;
    if (value < SHARE * thresholds[Math.min(thresholds.length - 1, Math.floor(i / MEMORY))]!) {
      continue;
    }
    if (value < energy[i - 1]! || value <= energy[i + 1]!) {
      continue;
    }
    const last = found.at(-1);
    if (last === undefined || i - last >= REFRACTORY) {
      found.push(i);
    } else if (value > energy[last]!) {
      found[found.length - 1] = i;
    }
  }
  return found;
}

/** Per stretch of some seconds the median of the largest energy of each second and a half around it. */
function usualPeaks(energy: Float64Array): number[] {
  const step = seconds(1.5);
  const peaks: number[] = [];
  for (let from = 0; from < energy.length; from += step) {
    let largest = 0;
    for (let i = from; i < Math.min(energy.length, from + step); i++) {
      largest = Math.max(largest, energy[i]!);
    }
    peaks.push(largest);
  }
  return Array.from({ length: Math.ceil(energy.length / MEMORY) }, (_, block) => {
    const centre = Math.floor(((block + 0.5) * MEMORY) / step);
    const near = peaks.slice(Math.max(0, centre - 5), centre + 6).sort((a, b) => a - b);
    return near[near.length >> 1] ?? 0;
  });
}
