/** The denoiser beside the classical lines, on people and noise that it was not trained on. */
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { cleanWhole } from '../../../gpu-worker/ecg/denoise/stretch.ts';
import { findQrs } from '../../../gpu-worker/ecg/measures/qrs.ts';
import { windowMeasures } from '../../../gpu-worker/ecg/measures/windows.ts';
import { mix } from '../../../gpu-worker/ecg/mixing/mix.ts';
import type { EcgModel } from '../../../gpu-worker/ecg/model/document.ts';
import { WIDE_OPEN } from '../../support/wide-open-gate.ts';
import { annotatedBeats, type Beat, beatClassifier, beatTable, stLevelError } from './beats.ts';
import { CLASSICAL_LINES, classical } from './classical-lines.ts';
import { firstLeadUnit, TEST, TRAIN, testNoise, testRecord } from './material.ts';
import { meanOf, scoreDetections } from './scores.ts';

export const LEVELS = [-4, 0, 4, 12, 24];
export const TYPES = ['bw', 'ma', 'em', 'mix'];
/** Level at which the network is shown without its gate, and the noisy cells whose beats are told apart. */
const [BARE_LEVEL, BEAT_CELLS] = [0, ['mix -4', 'mix 0', 'mix 4']];
const BEAT_LINES = new Set(['identity', 'band_pass', 'wavelet_high_pass', 'network']);

/** Means over windows, dB and standardised units; F1 of the first lead's QRS complexes; error of its ST level in mV. */
export type Measure = { snr: number; rmse: number; f1: number; st: number };
/** Measures by line: the classical ones, `network N` and `bare N` of the Nth model. */
export type Cell = Record<string, Measure>;
/** Beats told right among all, and F1 of the ventricular ones. */
export type BeatScore = { accuracy: number; f1: number };
export type StudyResults = {
  samples: number;
  models: Record<string, unknown>[];
  records: Record<string, Record<string, Cell>>;
  beats: Record<string, Record<string, BeatScore>>;
};

type Options = { samples: number; threads: number; report(results: StudyResults): void };

export async function evaluateStudy(models: readonly EcgModel[], options: Options): Promise<StudyResults> {
  const { samples, threads, report } = options;
  const denoisers: Denoiser[] = [];
  for (const { document, weights } of models) {
    denoisers.push(await Denoiser.create(document.network, weights, { threads }));
  }
  const noises = await testNoise(samples);
  const tally = new BeatTally(await cleanTraining(samples));
  const results: StudyResults = {
    samples,
    models: models.map(({ document }) => document.card.training as Record<string, unknown>),
    records: {},
    beats: {},
  };
  for (const name of TEST) {
    const clean = await testRecord(name, samples);
    const [beats, unit] = [annotatedBeats(name, samples), await firstLeadUnit(name, samples)];
    const cells: Record<string, Cell> = {};
    const measure = async (cell: string, noisy: Float64Array[], level: number | null) => {
      const outputs = new Map<string, Float64Array[]>();
      for (const line of CLASSICAL_LINES) {
        outputs.set(
          line,
          noisy.map((lead) => classical(line, lead, 360)),
        );
      }
      for (const [m, { document }] of models.entries()) {
        outputs.set(`network ${m}`, await cleanWhole(denoisers[m]!, document.gate, noisy));
        if (m === 0 && (level === BARE_LEVEL || level === null)) {
          outputs.set(`bare ${m}`, await cleanWhole(denoisers[m]!, WIDE_OPEN, noisy));
        }
      }
      cells[cell] = {};
      for (const [line, output] of outputs) {
        cells[cell][line] = measured(clean, output, beats, unit);
        if (BEAT_CELLS.includes(cell) && BEAT_LINES.has(line.split(' ')[0]!)) {
          tally.add(`${cell}, ${line}`, output, beats);
        }
      }
    };
    tally.add('clean', clean, beats);
    await measure('clean', clean, null);
    for (const type of TYPES) {
      for (const level of LEVELS) {
        await measure(`${type} ${level}`, mix(clean, noises.get(type)!, level, 'segment').mixed, level);
      }
    }
    results.records[name] = cells;
    results.beats = tally.scores();
    console.error(`${name} done`);
    report(results);
  }
  for (const denoiser of denoisers) {
    await denoiser.release();
  }
  return results;
}

const digits = (value: number): number => Number(value.toFixed(4));

function measured(clean: Float64Array[], output: Float64Array[], beats: readonly Beat[], unit: number): Measure {
  const { snr, rmse } = windowMeasures(clean, output);
  const at = beats.map(({ sample }) => sample);
  return {
    snr: digits(meanOf(snr)),
    rmse: digits(meanOf(rmse)),
    f1: digits(scoreDetections(findQrs(output[0]!), at).f1),
    st: digits(unit * stLevelError(clean[0]!, output[0]!, beats)),
  };
}

/** Beats of the training people as they were recorded. */
async function cleanTraining(samples: number) {
  const tables = [];
  for (const name of TRAIN) {
    tables.push(beatTable(await testRecord(name, samples), annotatedBeats(name, samples)));
  }
  return tables;
}

/** Counts of told beats over all records, by what was done to the signal. */
class BeatTally {
  readonly #tell: ReturnType<typeof beatClassifier>;
  readonly #sums = new Map<string, { hits: number; both: number; wrong: number; count: number }>();

  constructor(training: Parameters<typeof beatClassifier>[0]) {
    this.#tell = beatClassifier(training);
  }

  add(what: string, leads: readonly Float64Array[], beats: readonly Beat[]): void {
    const score = this.#tell(beatTable(leads, beats));
    const sum = this.#sums.get(what) ?? { hits: 0, both: 0, wrong: 0, count: 0 };
    this.#sums.set(what, {
      hits: sum.hits + score.hits,
      both: sum.both + score.both,
      wrong: sum.wrong + score.wrong,
      count: sum.count + score.count,
    });
  }

  scores(): StudyResults['beats'] {
    const found: StudyResults['beats'] = {};
    for (const [what, { hits, both, wrong, count }] of this.#sums) {
      const [cell, line] = what.split(', ') as [string, string | undefined];
      found[cell] = {
        ...found[cell],
        [line ?? 'clean']: { accuracy: digits(1 - wrong / count), f1: digits((2 * hits) / Math.max(1, both)) },
      };
    }
    return found;
  }
}
