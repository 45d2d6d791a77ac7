/** The results of the study as a page: every cell beside its target, what the waves look like, and the spread over seeds. */
import { type Cell, LEVELS, type Measure, type StudyResults, TYPES } from './evaluate.ts';
import { meanOf, spreadOf } from './scores.ts';

/** Gains over the best classical line that are asked for at -4, 0 and 4 dB. */
const TARGETS: Record<string, number[]> = { em: [4, 2.5, 1], mix: [2, 1, 0], ma: [1, 0.5, 0], bw: [-1, -1, -1] };
const FILTERS = ['band_pass', 'high_pass', 'wavelet', 'wavelet_high_pass'];

const signed = (value: number, places: number): string => `${value < 0 ? '' : '+'}${value.toFixed(places)}`;

/** A cell's mean over the records. */
function overRecords(records: StudyResults['records'], cell: string): Cell {
  const cells = Object.values(records).map((record) => record[cell]!);
  const average = (line: string, of: keyof Measure) => meanOf(cells.map((one) => one[line]![of]));
  return Object.fromEntries(
    Object.keys(cells[0]!).map((line) => [
      line,
      { snr: average(line, 'snr'), rmse: average(line, 'rmse'), f1: average(line, 'f1'), st: average(line, 'st') },
    ]),
  );
}

type Seeds = { snr: number[]; rmse: number; f1: number; st: number };
const network = (cell: Cell): Seeds => {
  const found = Object.entries(cell)
    .filter(([line]) => line.startsWith('network'))
    .map(([, measure]) => measure);
  const average = (of: keyof Measure) => meanOf(found.map((measure) => measure[of]));
  return { snr: found.map(({ snr }) => snr), rmse: average('rmse'), f1: average('f1'), st: average('st') };
};
const best = (cell: Cell): number => Math.max(...FILTERS.map((line) => cell[line]!.snr));

/** What is asked of a cell, in dB, and by how much it is met. */
function judged(type: string, level: number, cell: Cell): { asked: string; margin: number } {
  const found = meanOf(network(cell).snr);
  const i = [-4, 0, 4].indexOf(level);
  if (i >= 0) {
    const wanted = TARGETS[type]![i]!;
    return { asked: `best line ${signed(wanted, 1)}`, margin: found - best(cell) - wanted };
  }
  return level === 12
    ? { asked: 'input - 1', margin: found - cell.identity!.snr + 1 }
    : { asked: '20 dB', margin: found - 20 };
}

export function markdown(results: StudyResults): string {
  const { samples, models, records, beats } = results;
  const cells = TYPES.flatMap((type) =>
    LEVELS.map((level) => ({ type, level, name: `${type} ${level}`, cell: overRecords(records, `${type} ${level}`) })),
  );
  const clean = overRecords(records, 'clean');
  const verdicts = cells.map(({ type, level, cell }) => judged(type, level, cell));
  const met = verdicts.filter(({ margin }) => margin >= 0).length;
  const shown = ({ name, cell }: { name: string; cell: Cell }, verdict: { asked: string; margin: number } | null) => {
    const { snr } = network(cell);
    const bare = cell['bare 0']?.snr.toFixed(2) ?? '';
    // a clean signal left alone has no error
    const lines = ['identity', ...FILTERS].map((line) =>
      name === 'clean' && line === 'identity' ? '' : cell[line]!.snr.toFixed(2),
    );
    const own = `${meanOf(snr).toFixed(2)}${snr.length > 1 ? ` ± ${spreadOf(snr).toFixed(2)}` : ''}`;
    const judgement = verdict
      ? `${verdict.asked} | ${verdict.margin >= 0 ? 'met' : 'missed'} by ${Math.abs(verdict.margin).toFixed(2)}`
      : ' | ';
    return `| ${[name, ...lines, own, bare, judgement].join(' | ')} |`;
  };
  const waves = ({ name, cell }: { name: string; cell: Cell }) => {
    const found = network(cell);
    const [before, filter] = [cell.identity!, cell.band_pass!];
    const three = (of: 'rmse' | 'f1' | 'st') => [before[of], filter[of], found[of]].map((value) => value.toFixed(3));
    return `| ${[name, ...three('rmse'), ...three('f1'), ...three('st')].join(' | ')} |`;
  };
  const each = Object.entries(records).map(
    ([name, record]) =>
      `| ${[name, ...TYPES.flatMap((type) => [0, 12].map((level) => `${record[`${type} ${level}`]!.identity!.snr.toFixed(1)}, ${best(record[`${type} ${level}`]!).toFixed(1)}, ${meanOf(network(record[`${type} ${level}`]!).snr).toFixed(1)}`))].join(' | ')} |`,
  );
  const told = Object.entries(beats).flatMap(([cell, lines]) =>
    Object.entries(lines).map(
      ([line, { accuracy, f1 }]) => `| ${cell} | ${line} | ${accuracy.toFixed(4)} | ${f1.toFixed(3)} |`,
    ),
  );
  return [
    '# ECG denoising: results',
    '',
    `${met} of ${verdicts.length} targets met. Mean window SNR in dB over records ${Object.keys(records).join(', ')}, first ${samples.toLocaleString('en')} samples, noise at record level from the second half of its recordings. One model for all noises and levels; ${models.length === 1 ? 'one seed' : `mean ± deviation over ${models.length} seeds`}. \`bare\` is the first model's network without its gate. The all-zero output scores 0.0 everywhere.`,
    '',
    ...models.map((training, m) => `- model ${m}: \`${JSON.stringify({ ...training, validations: undefined })}\``),
    '',
    '| noise, dB | input | band-pass | high-pass | wavelet | wavelet + hp | network | bare | asked | |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...cells.map((row, i) => shown(row, verdicts[i]!)),
    shown({ name: 'clean', cell: clean }, null),
    '',
    'What becomes of the waves: error per window (standardised units), F1 of QRS detections and mean error of the ST level (mV) of the first lead; input, band-pass, network.',
    '',
    '| noise, dB | RMSE in | band-pass | network | F1 in | band-pass | network | ST in | band-pass | network |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...cells.map(waves),
    waves({ name: 'clean', cell: clean }),
    '',
    'By record: input, best line, network at 0 and at 12 dB.',
    '',
    `| record | ${TYPES.flatMap((type) => [`${type} 0`, `${type} 12`]).join(' | ')} |`,
    `|---|${TYPES.map(() => '---|---|').join('')}`,
    ...each,
    '',
    "Normal against ventricular beats, by a logistic regression on the clean beats of the training people (correlation with the recording's median beat, sizes, intervals as annotated):",
    '',
    '| noise, dB | line | accuracy | F1 of ventricular beats |',
    '|---|---|---|---|',
    ...told,
    '',
  ].join('\n');
}
