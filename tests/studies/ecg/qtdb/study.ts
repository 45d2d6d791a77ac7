/** The tables of fperdigon/DeepFilter for a folder of QT Database records that a user has. */
import { numpyIntegers } from '../../../support/numpy-random.ts';
import { recording } from '../material.ts';
import { meanOf, spreadOf } from '../scores.ts';
import { BEAT, readBeats } from './beats.ts';
import { recursiveFilter } from './filter.ts';
import { type BeatMeasures, beatMeasures } from './measures.ts';
import { joined, trainOnBeats } from './network.ts';
import { cutWander, mixed, type NoiseVersion } from './noise.ts';

type Options = {
  records: string;
  wander: Float64Array[];
  annotator: string;
  steps: number;
  batch: number;
  seed: number;
  threads: number;
};
type Line = Record<keyof BeatMeasures, { mean: number; deviation: number }>;
export type QtdbResults = {
  annotator: string;
  records: string[];
  beats: { train: number; test: number; too_long: number };
  steps: number;
  versions: Record<string, Record<string, Line>>;
};

/** Seed of the levels in the tables. */
const LEVEL_SEED = 1234;
const [LOWEST, ABOVE] = [20, 200];

export async function qtdbStudy(options: Options): Promise<QtdbResults> {
  const { records, wander, annotator, ...training } = options;
  const beats = await readBeats(records, annotator);
  const versions: QtdbResults['versions'] = {};
  for (const version of [1, 2] as const satisfies NoiseVersion[]) {
    const levels = numpyIntegers(LEVEL_SEED);
    const noise = cutWander(wander, version);
    const trained = mixed(beats.train, noise.train, levels(LOWEST, ABOVE, beats.train.length));
    const noisy = mixed(beats.test, noise.test, levels(LOWEST, ABOVE, beats.test.length));
    const lines: Record<string, ArrayLike<number>[]> = {
      'all zero': beats.test.map(() => new Float64Array(BEAT)),
      'left alone': noisy,
      'IIR, order 4': noisy.map(recursiveFilter),
    };
    if (beats.train.length > 0 && training.steps > 0) {
      const denoiser = await trainOnBeats({ noisy: trained, clean: beats.train }, training);
      const output = await denoiser.run(joined(noisy, noisy.keys()), noisy.length);
      await denoiser.release();
      lines.network = noisy.map((_, b) => output.subarray(b * BEAT, (b + 1) * BEAT));
    }
    versions[version] = Object.fromEntries(
      Object.entries(lines).map(([name, output]) => [name, summary(beatMeasures(beats.test, output))]),
    );
  }
  return {
    annotator,
    records: beats.records,
    beats: { train: beats.train.length, test: beats.test.length, too_long: beats.tooLong },
    steps: training.steps,
    versions,
  };
}

export const studyWander = (): Promise<Float64Array[]> => recording('../nstdb/bw');

function summary(measures: BeatMeasures): Line {
  return Object.fromEntries(
    Object.entries(measures).map(([name, values]) => [name, { mean: meanOf(values), deviation: spreadOf(values) }]),
  ) as Line;
}

export function qtdbMarkdown({ annotator, records, beats, steps, versions }: QtdbResults): string {
  const shown = ({ mean, deviation }: { mean: number; deviation: number }) =>
    `${mean.toFixed(3)} (${deviation.toFixed(3)})`;
  return [
    '# QT Database, baseline wander',
    '',
    `${records.length} records, annotations ${annotator}: ${beats.train} beats to train on, ${beats.test} to test on, ${beats.too_long} longer than 496 samples left out. The network: one lead, 512 samples, ${steps} steps. Mean (deviation) over beats; PRD against the prediction, as the published tables have it, and against the clean beat.`,
    '',
    '| noise | line | SSD | MAD | PRD, published | PRD | cosine |',
    '|---|---|---|---|---|---|---|',
    ...Object.entries(versions).flatMap(([version, lines]) =>
      Object.entries(lines).map(
        ([name, line]) =>
          `| ${[`version ${version}`, name, shown(line.ssd), shown(line.mad), shown(line.prdPublished), shown(line.prd), shown(line.cosine)].join(' | ')} |`,
      ),
    ),
    '',
  ].join('\n');
}
