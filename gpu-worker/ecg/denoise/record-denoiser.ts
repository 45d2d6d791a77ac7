/**
 * A recording of any length, rate and number of leads through the denoiser, a stretch at a time. Samples wait in files of
 * the scratch folder, so memory does not grow with the length.
 */
import { join } from 'node:path';
import { HIGHEST_RATE, LOWEST_RATE, MOST_LEADS } from '../../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { findQrs } from '../measures/qrs.ts';
import type { EcgDocument } from '../model/document.ts';
import { estimate } from '../quality/estimates.ts';
import { flagsOf } from '../quality/flags.ts';
import { SecondColumns } from '../quality/seconds.ts';
import { NETWORK_RATE } from '../rate.ts';
import { isMissing, LeadFile } from '../records/lead-file.ts';
import type { CleanedLead, LeadInfo, OpenedRecord } from '../records/record.ts';
import { Resampler } from '../signal/resample.ts';
import type { Denoiser } from './network-session.ts';
import { type CleanedStretch, cleanStretch, MARGIN, STRETCH } from './stretch.ts';

type LeadQuality = { lead: LeadInfo; seconds: SecondColumns };

export type DenoisedRecord = {
  leads: LeadQuality[];
  /** Steps per second that annotations count in. */
  frameRate: number;
  seconds: number;
  cleaned: CleanedLead[];
  /** Samples of a lead as they came, missing ones bridged. */
  original(lead: number, from: number, to: number): Promise<Float64Array>;
  lengths: number[];
  close(): Promise<void>;
};

type Lead = {
  info: LeadInfo;
  raw: LeadFile;
  clean: LeadFile;
  there: Resampler;
  back: Resampler;
  quality: SecondColumns;
};

/**
 * @throws SextantError `data_invalid` for rates outside 50 to 2,000 Hz, more than 64 leads, fewer than two samples, or
 * nothing but missing ones
 */
export async function denoiseRecord(
  record: OpenedRecord,
  {
    denoiser,
    document,
    scratch,
    progress,
  }: { denoiser: Denoiser; document: EcgDocument; scratch: string; progress?(fraction: number): void },
): Promise<DenoisedRecord> {
  const leads: Lead[] = [];
  const close = async () => {
    for (const { raw, clean } of leads) {
      await raw.close();
      await clean.close();
    }
  };
  try {
    await readLeads(record, scratch, leads);
    const pairs = pairsOf(leads);
    for (const [p, pair] of pairs.entries()) {
      await cleanPair(pair, denoiser, document, (share) => progress?.((p + share) / pairs.length));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    leads: leads.map(({ info, quality }) => ({ lead: info, seconds: quality })),
    frameRate: record.frameRate,
    seconds: Math.max(...leads.map(({ quality }) => quality.length)),
    lengths: leads.map(({ raw }) => raw.length),
    cleaned: leads.map((lead) => (from, to) => cleanedSamples(lead, from, to)),
    original: (lead, from, to) => leads[lead]!.raw.read(from, to),
    close,
  };
}

/** Fills `leads`, so that whoever called knows what to close. */
async function readLeads(record: OpenedRecord, scratch: string, leads: Lead[]): Promise<void> {
  for (const { name, rate } of record.leads) {
    if (!(rate >= LOWEST_RATE && rate <= HIGHEST_RATE)) {
      throw new SextantError(
        'data_invalid',
        `lead '${name}' has ${rate} Hz; rates from ${LOWEST_RATE} to ${HIGHEST_RATE} Hz are denoised`,
      );
    }
  }
  if (record.leads.length > MOST_LEADS) {
    throw new SextantError(
      'data_invalid',
      `the recording has ${record.leads.length} leads; at most ${MOST_LEADS} are denoised at once: send it in parts`,
    );
  }
  for (const [i, info] of record.leads.entries()) {
    leads.push({
      info,
      raw: await LeadFile.create(join(scratch, `lead-${i}.f32`)),
      clean: await LeadFile.create(join(scratch, `clean-${i}.f32`)),
      there: new Resampler(info.rate, NETWORK_RATE),
      back: new Resampler(NETWORK_RATE, info.rate),
      quality: new SecondColumns(),
    });
  }
  for await (const block of record.blocks()) {
    for (const [i, values] of block.entries()) {
      await leads[i]!.raw.append(values);
    }
  }
  for (const { raw } of leads) {
    await raw.end();
  }
  const present = ({ raw }: Lead) => raw.length - raw.missing.reduce((sum, { from, to }) => sum + to - from, 0);
  if (leads.some(({ raw }) => raw.length < 2)) {
    throw new SextantError('data_invalid', 'a recording has at least two samples per lead');
  }
  if (leads.every((lead) => present(lead) === 0)) {
    throw new SextantError('data_invalid', 'every sample is missing');
  }
}

/** Leads two by two in their order, those of one rate and length together; one that is left goes with itself. */
function pairsOf(leads: readonly Lead[]): [Lead, Lead][] {
  const waiting = new Map<string, Lead>();
  const pairs: [Lead, Lead][] = [];
  for (const lead of leads) {
    const key = `${lead.info.rate}/${lead.raw.length}`;
    const other = waiting.get(key);
    if (other) {
      pairs.push([other, lead]);
      waiting.delete(key);
    } else {
      waiting.set(key, lead);
    }
  }
  for (const lead of waiting.values()) {
    pairs.push([lead, lead]);
  }
  return pairs;
}

async function cleanPair(
  pair: readonly [Lead, Lead],
  denoiser: Denoiser,
  document: EcgDocument,
  progress: (share: number) => void,
): Promise<void> {
  const distinct = pair[0] === pair[1] ? [pair[0]] : [...pair];
  const [{ raw, there }] = pair;
  const total = there.lengthOf(raw.length);
  // Shorter than a window: the last value goes on, and what it gave is cut off again.
  const padded = Math.max(total, denoiser.config.window);
  for (let from = 0; from < padded; from += STRETCH) {
    const to = Math.min(padded, from + STRETCH);
    const [low, high] = [Math.max(0, from - MARGIN), Math.min(padded, to + MARGIN)];
    const inputs = [];
    for (const lead of pair) {
      inputs.push(await atNetworkRate(lead, low, high, total));
    }
    const cleaned = await cleanStretch(denoiser, document.gate, { leads: inputs, start: low, total: padded }, [
      from,
      to,
    ]);
    for (const [c, lead] of distinct.entries()) {
      await lead.clean.append(cleaned.leads[c]!.subarray(0, Math.min(to, total) - from));
      await judge(lead, c, cleaned, document, { from, to: Math.min(to, total), total, start: low });
    }
    progress(to / padded);
  }
  for (const lead of distinct) {
    await lead.clean.end();
  }
}

/** Samples [low, high) at the network's rate; past the end the last one goes on. */
async function atNetworkRate({ raw, there }: Lead, low: number, high: number, total: number): Promise<Float64Array> {
  const { up, down } = there.ratio;
  const end = Math.min(high, total);
  const first = Math.max(0, Math.floor((low * down) / up) - there.reach);
  const last = Math.min(raw.length, Math.ceil((end * down) / up) + there.reach + 1);
  const values = there.range(await raw.read(first, last), first, raw.length, [low, end]);
  if (end === high) {
    return values;
  }
  return Float64Array.from({ length: high - low }, (_, i) => values[Math.min(i, values.length - 1)]!);
}

async function cleanedSamples({ raw, clean, back }: Lead, from: number, to: number): Promise<Float64Array> {
  const { up, down } = back.ratio;
  const first = Math.max(0, Math.floor((from * down) / up) - back.reach);
  const last = Math.min(clean.length, Math.ceil((to * down) / up) + back.reach + 1);
  const values = back.range(await clean.read(first, last), first, clean.length, [from, to]);
  if (raw.missing.length > 0) {
    for (let i = 0; i < values.length; i++) {
      if (isMissing(raw.missing, from + i)) {
        values[i] = Number.NaN;
      }
    }
  }
  return values;
}

/** Appends the seconds that begin within a stretch. */
async function judge(
  lead: Lead,
  c: number,
  { windows, fast }: CleanedStretch,
  { estimates, training_range }: EcgDocument,
  { from, to, start, total }: { from: number; to: number; start: number; total: number },
): Promise<void> {
  const { info, raw, quality } = lead;
  const beats = findQrs(fast[c]!);
  const near = (second: number) => windows.filter((w) => Math.abs(w.start + 128 - (second + 0.5) * NETWORK_RATE) < 300);
  const firstOf = (second: number) => Math.min(raw.length, Math.floor(second * info.rate));
  const base = firstOf(quality.length);
  const stretch = await raw.read(base, firstOf(Math.ceil(to / NETWORK_RATE)));
  for (let i = 0; i < stretch.length; i++) {
    stretch[i]! *= info.millivolts;
  }
  for (let second = quality.length; second * NETWORK_RATE < to; second++) {
    const begin = second * NETWORK_RATE;
    // The last second of a stretch that goes on is judged with the next one.
    if (to < total && begin + NETWORK_RATE > to && begin >= from) {
      break;
    }
    const [low, high] = [firstOf(second), firstOf(second + 1)];
    if (high <= low) {
      break;
    }
    const values = stretch.subarray(low - base, high - base);
    let missing = 0;
    for (let i = low; i < high; i++) {
      if (isMissing(raw.missing, i)) {
        missing++;
      }
    }
    const around = near(second);
    const rows = around.map(({ features }) => features[c]!);
    const mean = (coefficients: readonly number[]) =>
      rows.length === 0 || missing === high - low
        ? null
        : rows.reduce((sum, row) => sum + estimate(coefficients, row), 0) / rows.length;
    const context = around[0]?.contexts[c];
    const local = beats.filter((beat) => Math.abs(beat + start - begin) < 5 * NETWORK_RATE);
    const intervals = local
      .slice(1)
      .map((beat, i) => beat - local[i]!)
      .sort((a, b) => a - b);
    quality.push({
      before: mean(estimates.before),
      after: mean(estimates.after),
      flags: flagsOf(
        {
          values,
          rate: info.rate,
          missing,
          range: info.range && { low: info.range.low * info.millivolts, high: info.range.high * info.millivolts },
          amplitude: (context?.scale ?? 0) * info.millivolts,
          beats: intervals.length >= 3 ? (60 * NETWORK_RATE) / intervals[intervals.length >> 1]! : null,
          drift: context?.levels[0] ?? 0,
          muscle: context?.levels[1] ?? 0,
        },
        training_range,
      ),
    });
  }
}
