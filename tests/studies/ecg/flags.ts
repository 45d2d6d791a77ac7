/** How often each flag finds seconds that were made to deserve it, and how often it is raised on the test records as they are. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { denoiseRecord } from '../../../gpu-worker/ecg/denoise/record-denoiser.ts';
import type { EcgModel } from '../../../gpu-worker/ecg/model/document.ts';
import type { Flag } from '../../../gpu-worker/ecg/quality/flags.ts';
import { columnsRecord } from '../../../gpu-worker/ecg/records/columns-record.ts';
import { stream } from '../../../shared/math/random.ts';
import { recording, TEST } from './material.ts';

const RATE = 360;
/** Faults are planted in the first second of every so many. */
const EVERY = 10;
type Fault = { rule: string; seconds: number; plant(second: Float64Array, key: string): Float64Array };

const FAULTS: Record<Flag, Fault> = {
  flat: {
    rule: 'peak to peak of at most 0.0101 mV',
    seconds: 1,
    plant: (second) => second.map(() => second[0]!),
  },
  saturated: {
    rule: 'two hundredths of the samples at the ends of the converter, or 20 ms at one extreme while the second spans 1 mV',
    seconds: 1,
    plant: (second) => second.map((value) => Math.max(-2, Math.min(2, 8 * value))),
  },
  lead_off: {
    rule: 'more than 15 mV peak to peak, or a mean beyond 100 mV',
    seconds: 1,
    plant: (second) => second.map((value, i) => value + 10 * Math.sin((2 * Math.PI * 50 * i) / RATE)),
  },
  missing: {
    rule: 'any sample missing',
    seconds: 1,
    plant: (second) => second.map((value, i) => (i % RATE < 90 ? Number.NaN : value)),
  },
  paced_suspected: {
    rule: 'a spike that rises over both neighbours 5.6 ms away by 0.5 mV and 45 % of the height of the second',
    seconds: 1,
    plant: (second) => second.map((value, i) => (i % RATE === 120 ? value + 3 : value)),
  },
  outside_training: {
    rule: 'amplitude, rate of beats, drift or muscle level beyond 0.1 to 99.9 % of the clean training seconds',
    seconds: EVERY,
    plant: (second, key) => {
      const noise = stream(1, key).normal(second.length, { deviation: 1.5 });
      return second.map((value, i) => value + noise[i]!);
    },
  },
};

export type FlagResults = Record<Flag, { rule: string; hits: number; planted: number; alarms: number; clean: number }>;

export async function flagStudy(
  { document, weights }: EcgModel,
  { seconds, threads }: { seconds: number; threads: number },
): Promise<FlagResults> {
  const denoiser = await Denoiser.create(document.network, weights, { threads });
  const results = Object.fromEntries(
    Object.entries(FAULTS).map(([flag, { rule }]) => [flag, { rule, hits: 0, planted: 0, alarms: 0, clean: 0 }]),
  ) as FlagResults;
  const flagsOf = async (leads: readonly Float64Array[]): Promise<ReadonlySet<Flag>[][]> => {
    const scratch = mkdtempSync(join(tmpdir(), 'ecg-flags-'));
    const columns = leads.map((values, c) => ({ name: `${c}`, values }));
    const record = columnsRecord({ rate: RATE, unit: 'mV', leads: columns }, 'json');
    try {
      const denoised = await denoiseRecord(record, { denoiser, document, scratch });
      const found = denoised.leads.map((lead) => Array.from(lead.seconds, ({ flags }) => new Set(flags)));
      await denoised.close();
      return found;
    } finally {
      rmSync(scratch, { recursive: true });
    }
  };
  for (const name of TEST) {
    const leads = (await recording(name)).map((lead) => lead.slice(0, seconds * RATE));
    for (const lead of await flagsOf(leads)) {
      for (const flags of lead) {
        for (const [flag, result] of Object.entries(results)) {
          result.alarms += flags.has(flag as Flag) ? 1 : 0;
          result.clean++;
        }
      }
    }
    for (const [flag, fault] of Object.entries(FAULTS) as [Flag, Fault][]) {
      const faulty = leads.map((lead) => lead.slice());
      const at: number[] = [];
      // Faults that last stand every other time, so that what is judged by the seconds around has both around it.
      for (let s = 2; s + fault.seconds < seconds; s += fault.seconds === 1 ? EVERY : 2 * EVERY) {
        for (const [c, lead] of faulty.entries()) {
          const [from, to] = [s * RATE, (s + fault.seconds) * RATE];
          lead.set(fault.plant(lead.slice(from, to), `${name}/${c}/${s}`), from);
        }
        at.push(s + (fault.seconds >> 1));
      }
      for (const lead of await flagsOf(faulty)) {
        results[flag].planted += at.length;
        results[flag].hits += at.filter((s) => lead[s]?.has(flag)).length;
      }
    }
  }
  await denoiser.release();
  return results;
}

export const flagsMarkdown = (results: FlagResults, seconds: number): string =>
  [
    '# Flags of the shipped denoiser',
    '',
    `First ${seconds} s of both leads of records ${TEST.join(', ')}: seconds that were given a fault, and seconds as they are. \`missing\` and \`flat\` are facts, not guesses; \`outside_training\` was given stretches of ${EVERY} s of white noise of 1.5 mV.`,
    '',
    '| flag | rule | found | false alarms |',
    '|---|---|---|---|',
    ...Object.entries(results).map(
      ([flag, { rule, hits, planted, alarms, clean }]) =>
        `| ${flag} | ${rule} | ${hits} of ${planted} | ${alarms} of ${clean} (${((100 * alarms) / clean).toFixed(1)} %) |`,
    ),
    '',
  ].join('\n');
