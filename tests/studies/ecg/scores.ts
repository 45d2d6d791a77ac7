type DetectionScore = { f1: number; sensitivity: number; precision: number };

/** Detections against annotated beats, each matched once within 150 ms (as ANSI/AAMI EC57). */
import { NETWORK_RATE } from '../../../gpu-worker/ecg/rate.ts';
export function scoreDetections(found: readonly number[], beats: readonly number[]): DetectionScore {
  const tolerance = Math.round(0.15 * NETWORK_RATE);
  let [hits, k] = [0, 0];
  for (const beat of beats) {
    while (k < found.length && found[k]! < beat - tolerance) {
      k++;
    }
    if (k < found.length && found[k]! <= beat + tolerance) {
      hits++;
      k++;
    }
  }
  const [sensitivity, precision] = [hits / Math.max(1, beats.length), hits / Math.max(1, found.length)];
  return { f1: (2 * hits) / Math.max(1, beats.length + found.length), sensitivity, precision };
}

/** Mean of the values that are numbers: windows of silence have no ratio. */
export function meanOf(values: ArrayLike<number>): number {
  let [sum, count] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i]!)) {
      sum += values[i]!;
      count++;
    }
  }
  return sum / count;
}

/** Deviation of the same values about their mean. */
export function spreadOf(values: readonly number[]): number {
  const centre = meanOf(values);
  return Math.sqrt(meanOf(values.map((value) => (value - centre) ** 2)));
}
