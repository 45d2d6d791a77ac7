/** The denoiser beside the classical lines, on people and noise that it was not trained on. */
import { readFileSync } from 'node:fs';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { cleanWhole } from '../../../gpu-worker/ecg/denoise/stretch.ts';
import { findQrs } from '../../../gpu-worker/ecg/measures/qrs.ts';
import { windowMeasures } from '../../../gpu-worker/ecg/measures/windows.ts';
import { mix } from '../../../gpu-worker/ecg/mixing/mix.ts';
import type { EcgModel } from '../../../gpu-worker/ecg/model/document.ts';
import { parseWfdbAnnotations } from '../../../shared/formats/wfdb/annotations.ts';
import { data } from '../../support/guide.ts';
import { WIDE_OPEN } from '../../support/wide-open-gate.ts';
import { CLASSICAL_LINES, type ClassicalLine, classical } from './classical-lines.ts';
import { TEST, testNoise, testRecord } from './material.ts';
import { meanOf, scoreDetections } from './scores.ts';

export const LEVELS = [-4, 0, 4, 12, 24];
const TYPES = ['bw', 'ma', 'em', 'mix'];
const BEATS = new Set([...'NLRaVFJASEj/Qefn']);

type Line = ClassicalLine | 'network' | 'network_without_gate';
/** Means over windows of all test records, dB and standardised units; F1 of the first lead's QRS detections. */
export type Cell = {
  snr: Partial<Record<Line, number>>;
  rmse: Partial<Record<Line, number>>;
  f1: Partial<Record<Line, number>>;
};
export type StudyResults = {
  samples: number;
  records: string[];
  cells: Record<string, Cell>;
  per_record: Record<string, Record<string, Partial<Record<Line, number>>>>;
  clean: Partial<Record<Line, number>>;
  card: Record<string, unknown>;
};

export async function evaluateStudy(
  { document, weights }: EcgModel,
  { samples, threads, report }: { samples: number; threads: number; report(results: StudyResults): void },
): Promise<StudyResults> {
  const denoiser = await Denoiser.create(document.network, weights, { threads });
  const noises = await testNoise(samples);
  const sums = new Map<string, Map<string, number[]>>();
  const perRecord: StudyResults['per_record'] = {};
  const add = (cell: string, what: string, value: number) => {
    const inner = sums.get(cell) ?? new Map<string, number[]>();
    sums.set(cell, inner.set(what, [...(inner.get(what) ?? []), value]));
  };
  for (const name of TEST) {
    const clean = await testRecord(name, samples);
    const beats = parseWfdbAnnotations(readFileSync(data('ecg', 'mitdb', `${name}.atr`)))
      .filter(({ symbol, sample }) => BEATS.has(symbol) && sample < samples)
      .map(({ sample }) => sample);
    const measure = async (cell: string, leads: Float64Array[]) => {
      const outputs: [Line, Float64Array[]][] = CLASSICAL_LINES.map((line) => [
        line,
        leads.map((lead) => classical(line, lead, 360)),
      ]);
      outputs.push(['network', await cleanWhole(denoiser, document.gate, leads)]);
      if (cell === 'em 0' || cell === 'mix 0') {
        outputs.push(['network_without_gate', await cleanWhole(denoiser, WIDE_OPEN, leads)]);
      }
      for (const [line, output] of outputs) {
        const { snr, rmse } = windowMeasures(clean, output);
        add(cell, `snr/${line}`, meanOf(snr));
        add(cell, `rmse/${line}`, meanOf(rmse));
        if (line === 'identity' || line === 'network' || line === 'band_pass') {
          add(cell, `f1/${line}`, scoreDetections(findQrs(output[0]!), beats).f1);
        }
        perRecord[name] = { ...perRecord[name], [cell]: { ...perRecord[name]?.[cell], [line]: meanOf(snr) } };
      }
    };
    for (const type of TYPES) {
      for (const level of LEVELS) {
        await measure(`${type} ${level}`, mix(clean, noises.get(type)!, level, 'segment').mixed);
      }
    }
    await measure('clean', clean);
    console.error(`${name} done`);
    report(summarised(sums, perRecord, samples, document.card));
  }
  await denoiser.release();
  return summarised(sums, perRecord, samples, document.card);
}

function summarised(
  sums: Map<string, Map<string, number[]>>,
  perRecord: StudyResults['per_record'],
  samples: number,
  card: Record<string, unknown>,
): StudyResults {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const cells: Record<string, Cell> = {};
  for (const [cell, inner] of sums) {
    const made: Cell = { snr: {}, rmse: {}, f1: {} };
    for (const [key, values] of inner) {
      const [what, line] = key.split('/') as ['snr' | 'rmse' | 'f1', Line];
      made[what][line] = Number(mean(values).toFixed(3));
    }
    cells[cell] = made;
  }
  return {
    samples,
    records: Object.keys(perRecord),
    cells,
    per_record: perRecord,
    clean: cells.clean?.snr ?? {},
    card,
  };
}

const TARGETS: Record<string, number[]> = { em: [4, 2.5, 1], mix: [2, 1, 0], ma: [1, 0.5, 0], bw: [-1, -1, -1] };

export function markdown({ samples, records, cells, card }: StudyResults): string {
  const shown = (value: number | undefined) => (value === undefined ? '' : value.toFixed(1));
  const best = (cell: Cell) =>
    Math.max(...(['band_pass', 'high_pass', 'wavelet', 'wavelet_high_pass'] as const).map((line) => cell.snr[line]!));
  const rows = Object.entries(cells).map(([name, cell]) => {
    const { snr, rmse, f1 } = cell;
    const [type, level] = name.split(' ') as [string, string | undefined];
    const gap = snr.network! - best(cell);
    const i = [-4, 0, 4].indexOf(Number(level));
    const target =
      level === undefined
        ? ''
        : i >= 0
          ? `${TARGETS[type]![i]! >= 0 ? '+' : ''}${TARGETS[type]![i]} ${gap >= TARGETS[type]![i]! - 0.05 ? 'met' : 'missed'}`
          : level === '12'
            ? `in - 1 ${snr.network! >= snr.identity! - 1 ? 'met' : 'missed'}`
            : `>= 20 ${snr.network! >= 20 ? 'met' : 'missed'}`;
    return `| ${name} | ${[snr.identity, snr.band_pass, snr.high_pass, snr.wavelet, snr.wavelet_high_pass, snr.network, snr.network_without_gate].map(shown).join(' | ')} | ${gap.toFixed(1)} | ${target} | ${rmse.identity!.toFixed(3)} / ${rmse.network!.toFixed(3)} | ${f1.identity!.toFixed(3)} / ${f1.network!.toFixed(3)} |`;
  });
  return [
    '# ECG denoising: results',
    '',
    `Mean window SNR in dB over records ${records.join(', ')}, first ${samples.toLocaleString('en')} samples, noise at record level from the second half of its recordings. One model for all noises and levels; its training: \`${JSON.stringify((card.training as object) ?? {})}\`.`,
    '',
    '| noise, dB | input | band-pass | high-pass | wavelet | wavelet + hp | network | without gate | over best line | target | RMSE in / out | QRS F1 in / out |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
