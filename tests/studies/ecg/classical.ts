/** The classical lines alone, over long signals: against the records as they are, and against records without their drift. */
import { windowMeasures } from '../../../gpu-worker/ecg/measures/windows.ts';
import { type Leads, mix } from '../../../gpu-worker/ecg/mixing/mix.ts';
import { classical } from './classical-lines.ts';
import { TEST, testNoise, testRecord } from './material.ts';
import { meanOf } from './scores.ts';

const LEVELS = [-4, 0, 4];
const TYPES = ['bw', 'ma', 'em', 'mix'];
const LINES = ['identity', 'band_pass', 'high_pass', 'wavelet', 'wavelet_high_pass'] as const;
type Row = Record<(typeof LINES)[number], number>;

/** Mean window SNR in dB by noise and level. */
export type ClassicalResults = {
  samples: number;
  records: string[];
  plain: Record<string, Row>;
  without_drift: Record<string, Row>;
};

export async function classicalStudy(samples: number): Promise<ClassicalResults> {
  const noises = await testNoise(samples);
  const none = (): Record<string, Row> => ({});
  const [plain, withoutDrift] = [none(), none()];
  for (const name of TEST) {
    const clean = await testRecord(name, samples);
    const high = clean.map((lead) => classical('high_pass', lead, 360));
    for (const type of TYPES) {
      for (const level of LEVELS) {
        add(plain, `${type} ${level}`, clean, mix(clean, noises.get(type)!, level, 'segment').mixed);
        if (level === 0) {
          add(withoutDrift, `${type} 0`, high, mix(high, noises.get(type)!, level, 'segment').mixed);
        }
      }
    }
  }
  return { samples, records: TEST, plain, without_drift: withoutDrift };
}

/** Adds one record's means to a table of means over all. */
function add(table: Record<string, Row>, cell: string, clean: Leads, mixed: readonly Float64Array[]): void {
  const row = Object.fromEntries(
    LINES.map((line) => {
      const output = mixed.map((lead) => classical(line, lead, 360));
      return [line, (table[cell]?.[line] ?? 0) + meanOf(windowMeasures(clean, output).snr) / TEST.length];
    }),
  );
  table[cell] = row as Row;
}

export function classicalMarkdown({ samples, records, plain, without_drift }: ClassicalResults): string {
  const table = (rows: Record<string, Row>) => [
    '| noise, dB | input | band-pass | high-pass | wavelet | wavelet + hp |',
    '|---|---|---|---|---|---|',
    ...Object.entries(rows).map(
      ([cell, row]) => `| ${cell} | ${LINES.map((line) => row[line].toFixed(2)).join(' | ')} |`,
    ),
  ];
  return [
    '# Classical lines',
    '',
    `Mean window SNR in dB over records ${records.join(', ')}, first ${samples.toLocaleString('en')} samples, noise at record level from the second half of its recordings. The all-zero output scores 0.0 everywhere.`,
    '',
    ...table(plain),
    '',
    'Against references that were high-passed first:',
    '',
    ...table(without_drift),
    '',
  ].join('\n');
}
