/** Signal-to-noise ratio and error per window, over all leads together. */
import { type Leads, MIXING_WINDOW } from '../mixing/mix.ts';

type WindowMeasures = { snr: Float64Array; rmse: Float64Array };

/** Whole windows of `size` samples: 10 log10(<y^2> / <(y - x)^2>) in dB and sqrt<(y - x)^2>. */
export function windowMeasures(clean: Leads, other: Leads, size = MIXING_WINDOW): WindowMeasures {
  const windows = Math.floor(Math.min(clean[0]!.length, other[0]!.length) / size);
  const [snr, rmse] = [new Float64Array(windows), new Float64Array(windows)];
  for (let w = 0; w < windows; w++) {
    let [signal, error] = [0, 0];
    for (let c = 0; c < clean.length; c++) {
      for (let i = w * size; i < (w + 1) * size; i++) {
        const [y, x] = [clean[c]![i]!, other[c]![i]!];
        signal += y * y;
        error += (y - x) ** 2;
      }
    }
    snr[w] = 10 * Math.log10(signal / error);
    rmse[w] = Math.sqrt(error / (clean.length * size));
  }
  return { snr, rmse };
}
