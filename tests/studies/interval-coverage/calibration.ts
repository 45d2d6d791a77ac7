/** How often the intervals of a group's calibration error and bias hold the truth. */
import { calibrationByGroup } from '../../../shared/fairness/audit/calibration.ts';
import { layOut } from '../../../shared/fairness/audit/layout.ts';
import { stream } from '../../../shared/math/random.ts';

const LEVEL = 0.95;
const DRAWS = 300;
const BINS = 10;

/** Chances of the outcome at a score, for scores uniform on [0, 1]: linear, so that a bin's error is that at its middle. */
const TRUTHS: Record<string, (score: number) => number> = {
  calibrated: (score) => score,
  'too sure by a fifth': (score) => 0.5 + 0.8 * (score - 0.5),
  'too high by a tenth': (score) => 0.9 * score,
};

export type CalibrationCoverage = { truth: string; n: number; of: number; error: number; bias: number };

export function calibrationCoverage(reps: number, note: (text: string) => void): CalibrationCoverage[] {
  const rows: CalibrationCoverage[] = [];
  for (const [truth, chance] of Object.entries(TRUTHS)) {
    const middles = Array.from({ length: BINS }, (_, b) => (b + 0.5) / BINS);
    const excesses = middles.map((middle) => middle - chance(middle));
    const bias = excesses.reduce((sum, excess) => sum + excess / BINS, 0);
    const error = excesses.reduce((sum, excess) => sum + Math.abs(excess) / BINS, 0);
    for (const n of [200, 2000]) {
      let [errors, biases] = [0, 0];
      for (let rep = 0; rep < reps; rep++) {
        const random = stream(rep, `calibration/${truth}/${n}`);
        const predictions = random.derive('scores').uniform(n);
        const luck = random.derive('labels').uniform(n);
        const labels = predictions.map((score, i) => Number(luck[i]! < chance(score)));
        const layout = layOut({ predictions, labels }, Uint32Array.from(labels.keys()), [n], []);
        const [found] = calibrationByGroup(layout, { bins: BINS, draws: DRAWS, level: LEVEL, random });
        errors += Number(found!.error.low <= error && error <= found!.error.high);
        biases += Number(found!.bias.low <= bias && bias <= found!.bias.high);
      }
      rows.push({ truth, n, of: error, error: errors / reps, bias: biases / reps });
    }
    note(`calibration, ${truth}`);
  }
  return rows;
}
