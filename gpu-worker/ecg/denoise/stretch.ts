/**
 * One pair of leads through filter, network and gate, a stretch at a time. What a stretch gives depends on the signal
 * around it alone, not on how it was cut, so recordings of any length stream.
 */
import { NETWORK_RATE } from '../rate.ts';
import { highPass } from '../signal/butterworth.ts';
import { DRIFT_EDGE } from '../signal/drift-edge.ts';
import { zeroPhase } from '../signal/zero-phase.ts';
import { BLOCK, CONTEXT, type Context, describeContext, writeInput } from './context.ts';
import { type Gate, gateFeatures, openGate } from './gate.ts';
import type { Denoiser } from './network-session.ts';
import { OverlapSum, overlapWeights, windowStarts } from './overlap.ts';
import { BandSizes, slowBands } from './slow-bands.ts';

/** Samples that are cleaned at a time, and those on either side that the result depends on. */
export const STRETCH = 32 * BLOCK;
export const MARGIN = 10 * BLOCK;

/** A piece of a signal of `total` samples: `leads` begin at sample `start`. */
type Piece = { leads: readonly Float64Array[]; start: number; total: number };
/** A window as the network left it. */
type WindowOutput = {
  start: number;
  contexts: Context[];
  /** Per lead what the gate sees. */
  features: number[][];
  /** The network's output, [leads * window] in the signal's unit. */
  cleaned: Float64Array;
};
/** The parts of a piece, by lead; the bands add up to what the fast part lacks. */
type Parts = { fast: Float64Array[]; bands: Float64Array[][] };
export type CleanedStretch = Parts & { leads: Float64Array[]; windows: WindowOutput[] };
/** Mean square of the correction in a window and around it, relative to the squared scale. */
type Correction = { window: number; around: number };

/**
 * The windows that reach into samples [from, to), and the parts of the signal.
 * @param piece holds MARGIN samples on either side of the stretch, where the signal has them
 */
export async function networkWindows(
  denoiser: Denoiser,
  { leads, start, total }: Piece,
  [from, to]: readonly [number, number],
): Promise<Parts & { windows: WindowOutput[] }> {
  const { window, conditions } = denoiser.config;
  const sections = highPass(DRIFT_EDGE, NETWORK_RATE);
  const fast = leads.map((lead) => zeroPhase(sections, lead));
  const slow = leads.map((lead, c) => {
    const part = new Float64Array(lead.length);
    for (let i = 0; i < part.length; i++) {
      part[i] = lead[i]! - fast[c]![i]!;
    }
    return part;
  });
  const contexts = new Map<number, Context[]>();
  const contextOf = (block: number): Context[] => {
    const known = contexts.get(block);
    if (known) {
      return known;
    }
    const low = Math.max(0, block * BLOCK - BLOCK) - start;
    const high = Math.min(total, block * BLOCK - BLOCK + CONTEXT) - start;
    const made = fast.map((lead, c) => describeContext(lead.subarray(low, high), slow[c]!.subarray(low, high)));
    contexts.set(block, made);
    return made;
  };
  // Windows of the blocks beside the stretch count in what is known around its first and last ones. The last one's centre
  // lies at the end, in the block that begins there.
  const reach = [from - BLOCK - window, to + 2 * BLOCK - window / 2] as const;
  const starts = windowStarts(total, window).filter((at) => at > reach[0] && at < reach[1]);
  const size = (leads.length + conditions) * window;
  const x = new Float32Array(starts.length * size);
  const blockOf = (at: number) => Math.floor((at + window / 2) / BLOCK);
  starts.forEach((at, n) => {
    writeInput(x, n * size, { fast, slow, from: at - start, window }, contextOf(blockOf(at)));
  });
  const y = await denoiser.run(x, starts.length);
  const perWindow = leads.length * window;
  // one block of memory for all windows: thousands of small ones keep the collector busy
  const allCleaned = new Float64Array(starts.length * perWindow);
  const outputs = starts.map((at, n) => {
    const own = contextOf(blockOf(at));
    const cleaned = allCleaned.subarray(n * perWindow, (n + 1) * perWindow);
    const corrections = leads.map((_, c): Correction => {
      const { scale } = own[c]!;
      const lead = fast[c]!;
      let sum = 0;
      for (let i = 0; i < window; i++) {
        const value = y[n * perWindow + c * window + i]! * scale;
        cleaned[c * window + i] = value;
        sum += ((value - lead[at - start + i]!) / scale) ** 2;
      }
      return { window: sum / window, around: 0 };
    });
    return { start: at, contexts: own, cleaned, corrections };
  });
  averageAround(outputs, blockOf);
  const bands = slow.map(slowBands);
  const sizes = bands.map((ofLead) => new BandSizes(ofLead, start));
  const windows = outputs
    .filter((one) => one.start > from - window && one.start < to)
    .map(({ corrections, ...output }) => ({
      ...output,
      features: corrections.map((correction, c) => {
        const context = output.contexts[c]!;
        return gateFeatures(context, sizes[c]!.around(blockOf(output.start), context.scale), correction);
      }),
    }));
  return { windows, fast, bands };
}

/** Mean correction over the windows of a block and its two neighbours. */
function averageAround(
  windows: readonly { start: number; corrections: Correction[] }[],
  blockOf: (at: number) => number,
): void {
  const sums = new Map<number, { count: number; totals: number[] }>();
  for (const { start, corrections } of windows) {
    const block = blockOf(start);
    const entry = sums.get(block) ?? { count: 0, totals: corrections.map(() => 0) };
    entry.count++;
    corrections.forEach(({ window }, c) => {
      entry.totals[c]! += window;
    });
    sums.set(block, entry);
  }
  for (const { start, corrections } of windows) {
    const near = [-1, 0, 1].map((step) => sums.get(blockOf(start) + step)).filter((entry) => entry !== undefined);
    const count = near.reduce((sum, entry) => sum + entry.count, 0);
    corrections.forEach((correction, c) => {
      correction.around = near.reduce((sum, entry) => sum + entry.totals[c]!, 0) / count;
    });
  }
}

/** Cleans samples [from, to) of the leads. Signals shorter than a window are the caller's to lengthen. */
export async function cleanStretch(
  denoiser: Denoiser,
  gate: Gate,
  piece: Piece,
  [from, to]: readonly [number, number],
): Promise<CleanedStretch> {
  const { window } = denoiser.config;
  const { windows, fast, bands } = await networkWindows(denoiser, piece, [from, to]);
  const weights = overlapWeights(window);
  const sums = piece.leads.map(() => new OverlapSum(from, to, weights));
  for (const { start, features, cleaned } of windows) {
    sums.forEach((sum, c) => {
      const [corrected, ...kept] = openGate(gate, features[c]!) as [number, ...number[]];
      const at = start - piece.start;
      sum.add(start, (i) => {
        const value = fast[c]![at + i]!;
        let whole = value + corrected * (cleaned[c * window + i]! - value);
        for (let b = 0; b < kept.length; b++) {
          whole += kept[b]! * bands[c]![b]![at + i]!;
        }
        return whole;
      });
    });
  }
  return { leads: sums.map((sum) => sum.values()), windows, fast, bands };
}

/** A whole signal of a few minutes, at the network's rate. */
export async function cleanWhole(
  denoiser: Denoiser,
  gate: Gate,
  leads: readonly Float64Array[],
): Promise<Float64Array[]> {
  const n = leads[0]!.length;
  const { window } = denoiser.config;
  if (n < window) {
    const longer = leads.map((lead) => Float64Array.from({ length: window }, (_, i) => lead[Math.min(i, n - 1)]!));
    return (await cleanWhole(denoiser, gate, longer)).map((lead) => lead.slice(0, n));
  }
  const out = leads.map(() => new Float64Array(n));
  for (let from = 0; from < n; from += STRETCH) {
    const to = Math.min(n, from + STRETCH);
    const [low, high] = [Math.max(0, from - MARGIN), Math.min(n, to + MARGIN)];
    const piece = { leads: leads.map((lead) => lead.subarray(low, high)), start: low, total: n };
    (await cleanStretch(denoiser, gate, piece, [from, to])).leads.forEach((lead, c) => {
      out[c]!.set(lead, from);
    });
  }
  return out;
}
