/**
 * Beats of the QT Database as the published tables cut them (fperdigon/DeepFilter): from 40 ms before one P wave to 40 ms
 * before the next, resampled to 360 Hz, in 512 samples of which the first 16 are zero.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { physical, readWholeRecord } from '../../../../gpu-worker/ecg/records/wfdb-files.ts';
import { Resampler } from '../../../../gpu-worker/ecg/signal/resample.ts';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { parseWfdbAnnotations } from '../../../../shared/formats/wfdb/annotations.ts';

export const BEAT = 512;
const [ZEROS, RATE, BEFORE_S] = [16, 360, 0.04];
/** Two records of each of the databases that the QT Database was drawn from. */
const TEST = new Set([
  ...['sel123', 'sel233', 'sel302', 'sel307', 'sel820', 'sel853', 'sel16420', 'sel16795'],
  ...['sele0106', 'sele0121', 'sel32', 'sel49', 'sel14046', 'sel15814'],
]);

export type Beats = { train: Float64Array[]; test: Float64Array[]; records: string[]; tooLong: number };

/**
 * @param folder records with their annotation files `<record>.<annotator>`
 * @throws SextantError `data_invalid` where there is no annotated record
 */
export async function readBeats(folder: string, annotator: string): Promise<Beats> {
  const found: Beats = { train: [], test: [], records: [], tooLong: 0 };
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.hea') && existsSync(join(folder, name.replace(/hea$/, annotator))))
    .map((name) => name.slice(0, -'.hea'.length))
    .sort();
  if (names.length === 0) {
    throw new SextantError('data_invalid', `no record there has annotations of '${annotator}' beside its header`);
  }
  for (const name of names) {
    const record = await readWholeRecord(join(folder, name));
    const annotations = parseWfdbAnnotations(readFileSync(join(folder, `${name}.${annotator}`)));
    for (const beat of cutBeats(physical(record)[0]!, record.header.rate, annotations)) {
      if (beat.length > BEAT - ZEROS) {
        found.tooLong++;
        continue;
      }
      (TEST.has(name) ? found.test : found.train).push(padded(beat));
    }
    found.records.push(name);
  }
  return found;
}

/** Pieces from P wave to P wave with at most one QRS complex, at 360 Hz. */
export function cutBeats(
  lead: Float64Array,
  rate: number,
  annotations: readonly { sample: number; symbol: string }[],
): Float64Array[] {
  const at = (wanted: string) => annotations.filter(({ symbol }) => symbol === wanted).map(({ sample }) => sample);
  const [onsets, complexes] = [at('('), at('N')];
  const starts = at('p').flatMap((peak) => {
    const onset = onsets.findLast((sample) => sample < peak);
    return onset === undefined ? [] : [onset - Math.floor(BEFORE_S * rate)];
  });
  const resampler = new Resampler(rate, RATE);
  const beats: Float64Array[] = [];
  for (const [k, from] of starts.slice(0, -1).entries()) {
    const to = starts[k + 1]!;
    const inside = complexes.filter((sample) => sample > from && sample < to).length;
    if (inside < 2 && from >= 0 && to - from > 1) {
      beats.push(resampled(lead.slice(from, to), resampler, Math.ceil(((to - from) * RATE) / rate)));
    }
  }
  return beats;
}

/** The middle of the piece with its mirror image on either side, as the tables take it: one sample early. */
function resampled(piece: Float64Array, resampler: Resampler, length: number): Float64Array {
  const mirror = Float64Array.from(piece).reverse();
  const whole = resampler.all(Float64Array.of(...mirror, ...piece, ...mirror));
  return whole.slice(length - 1, 2 * length - 1);
}

/** The piece without the mean of its two ends, behind 16 zeros. */
function padded(beat: Float64Array): Float64Array {
  const level = (beat[0]! + beat.at(-1)!) / 2;
  const vector = new Float64Array(BEAT);
  vector.set(
    beat.map((value) => value - level),
    ZEROS,
  );
  return vector;
}
