/** From trained weights to a model: gate, estimates and the range of what was learned, all from validation and training data. */
import { BLOCK, CONTEXT, describeContext } from '../denoise/context.ts';
import { fitGate } from '../denoise/gate.ts';
import { Denoiser, type Weights } from '../denoise/network-session.ts';
import { findQrs } from '../measures/qrs.ts';
import type { EcgDocument, EcgModel } from '../model/document.ts';
import { ECG_FAMILY } from '../model/document.ts';
import type { NetworkConfiguration } from '../network/configuration.ts';
import { correlation, estimate, fitEstimates, trueRatios } from '../quality/estimates.ts';
import { NETWORK_RATE } from '../rate.ts';
import { gateWindows } from './gate-data.ts';
import type { CleanRecord } from './material.ts';
import type { Material } from './train.ts';

type Finishing = {
  network: NetworkConfiguration;
  weights: Weights;
  validation: Material;
  train: Material;
  /** Millivolts of one standardised unit, per training record and lead. */
  units: readonly (readonly number[])[];
  card: Record<string, unknown>;
  /** Steps that the network was trained for. */
  steps: number;
  device: 'cpu' | 'webgpu' | 'cuda';
  threads: number;
};

/** Recordings that the gate is fitted on, counted as often as they are used, and those that the estimates are checked on. */
const [MOST_FITTED, CHECKED] = [14, 1];
/** Steps of training that make one more recording worth fitting on. */
const STEPS_EACH = 100;

export async function finishModel(finishing: Finishing): Promise<EcgModel> {
  const { network, weights, validation, train, card } = finishing;
  const denoiser = await Denoiser.create(network, weights, finishing);
  try {
    // Recordings that were trained on count beside the held ones, under noise that was not: one person is no population. The
    // network does better on those that it knows, and a gate that saw these alone would trust it too far: every second
    // stretch is of a held one.
    const records = train.records.flatMap((record, i) => [validation.records[i % validation.records.length]!, record]);
    const seen = { records, noises: validation.noises };
    const fitted = Math.min(MOST_FITTED, Math.ceil(finishing.steps / STEPS_EACH));
    const windows = await gateWindows(denoiser, seen, fitted, 1);
    const gate = fitGate(windows);
    const estimates = fitEstimates(windows, gate);
    const checked = await gateWindows(denoiser, validation, CHECKED, 2);
    const truth = trueRatios(checked, gate);
    const rows = checked.flatMap(({ leads }) => leads.map(({ features }) => features));
    const agreement = (which: 'before' | 'after') =>
      correlation(
        rows.map((row) => estimate(estimates[which], row)),
        truth[which],
      );
    const document: EcgDocument = {
      model_type: ECG_FAMILY,
      task: 'ecg',
      network,
      gate: { hidden: gate.hidden.map((row) => [...row]), shares: gate.shares.map((row) => [...row]) },
      estimates: { before: [...estimates.before], after: [...estimates.after] },
      training_range: trainingRange(train, finishing.units),
      card: { ...card, estimate_correlation: { before: agreement('before'), after: agreement('after') } },
    };
    return { document, weights };
  } finally {
    await denoiser.release();
  }
}

/** The lowest and highest thousandth of what clean training recordings show, block by block. */
function trainingRange({ records }: Material, units: Finishing['units']): EcgDocument['training_range'] {
  const seen = { amplitude: [] as number[], rate: [] as number[], drift: [] as number[], muscle: [] as number[] };
  for (const [r, record] of records.entries()) {
    for (const [c, fast] of record.fast.entries()) {
      for (let from = 0; from + CONTEXT <= fast.length; from += BLOCK) {
        const context = describeContext(
          fast.subarray(from, from + CONTEXT),
          record.slow[c]!.subarray(from, from + CONTEXT),
        );
        seen.amplitude.push(context.scale * units[r]![c]!);
        seen.drift.push(context.levels[0]);
        seen.muscle.push(context.levels[1]);
      }
      seen.rate.push(...rates(record, c));
    }
  }
  const ends = (values: number[]): [number, number] => {
    const sorted = values.sort((a, b) => a - b);
    return [sorted[Math.floor(0.001 * sorted.length)] ?? 0, sorted[Math.ceil(0.999 * sorted.length) - 1] ?? 0];
  };
  return { amplitude: ends(seen.amplitude), rate: ends(seen.rate), drift: ends(seen.drift), muscle: ends(seen.muscle) };
}

/** Beats per minute around every fifth second, as the flags see them. */
function rates({ fast }: CleanRecord, c: number): number[] {
  const beats = findQrs(fast[c]!);
  const found: number[] = [];
  for (let at = 0; at < fast[c]!.length; at += 5 * NETWORK_RATE) {
    const near = beats.filter((beat) => Math.abs(beat - at) < 5 * NETWORK_RATE);
    const intervals = near
      .slice(1)
      .map((beat, i) => beat - near[i]!)
      .sort((a, b) => a - b);
    if (intervals.length >= 3) {
      found.push((60 * NETWORK_RATE) / intervals[intervals.length >> 1]!);
    }
  }
  return found;
}
