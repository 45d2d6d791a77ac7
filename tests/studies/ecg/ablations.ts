/** What each part of the network is worth: variants trained alike, over the same seeds, on people and noise that none has seen. */
import { conditionsOf } from '../../../gpu-worker/ecg/denoise/context.ts';
import { Denoiser } from '../../../gpu-worker/ecg/denoise/network-session.ts';
import { windowMeasures } from '../../../gpu-worker/ecg/measures/windows.ts';
import { type NetworkConfiguration, standardNetwork } from '../../../gpu-worker/ecg/network/configuration.ts';
import { type Batch, drawBatch } from '../../../gpu-worker/ecg/training/examples.ts';
import { cleanRecord, noiseRecord } from '../../../gpu-worker/ecg/training/material.ts';
import { type Material, trainDenoiser } from '../../../gpu-worker/ecg/training/train.ts';
import { KINDS, recording, studyMaterial, TEST, testNoise } from './material.ts';
import { meanOf, spreadOf } from './scores.ts';

const VARIANTS: Record<string, { network: Partial<NetworkConfiguration>; consistency?: boolean }> = {
  'as shipped: kernels 1, 3, 5, 7, (5b)': { network: {} },
  'one kernel of 1': { network: { kernels: [1] } },
  'one kernel of 7': { network: { kernels: [7] } },
  'token embedding': { network: { embed: 'token' } },
  'second halves last (5a)': { network: { separate: 'halves' } },
  'consistency step': { network: {}, consistency: true },
};
/** Levels that are measured, windows of each, and samples of the test recordings that they are drawn from. */
const [LEVELS, WINDOWS, SAMPLES] = [[-4, 0, 4], 768, 300_000];

export type AblationResults = {
  steps: number;
  batch: number;
  windows: number;
  /** Mean window SNR in dB of the drift-free part, by level. */
  input: Record<string, number>;
  runs: { variant: string; seed: number; snr: Record<string, number>; cpu_seconds: number }[];
};
type Options = {
  seeds: number;
  steps: number;
  threads: number;
  last: AblationResults | null;
  report(results: AblationResults): void;
};

/** Runs that `last` holds are not run again; `report` is called after every run. */
export async function ablationStudy({ seeds, steps, threads, last, report }: Options): Promise<void> {
  const { train, validation } = await studyMaterial();
  const held = await heldOut();
  const batch = 32;
  const results: AblationResults =
    last?.steps === steps
      ? last
      : { steps, batch, windows: WINDOWS, input: await measure(held, async ({ x }) => firstLeads(x)), runs: [] };
  for (let seed = 0; seed < seeds; seed++) {
    for (const [variant, { network: changes, consistency = false }] of Object.entries(VARIANTS)) {
      if (results.runs.some((run) => run.variant === variant && run.seed === seed)) {
        continue;
      }
      const network = standardNetwork({ conditions: conditionsOf(2), ...changes });
      const settings = { network, steps, batch, seed, rate: 1.5e-3, levels: [-7, 14] as const, consistency };
      const run = { mixing: 'record' as const, patience: null, every: 2 * steps, device: 'cpu' as const, threads };
      // A second step follows every batch.
      const twice = { steps: consistency ? 2 * steps : steps };
      const { weights, cpuSeconds } = await trainDenoiser(train, validation, { ...settings, ...twice, ...run });
      const denoiser = await Denoiser.create(network, weights, { threads });
      const snr = await measure(held, ({ x }) => denoiser.run(x, WINDOWS));
      await denoiser.release();
      results.runs.push({ variant, seed, snr, cpu_seconds: Math.round(cpuSeconds) });
      report(results);
    }
  }
}

const CHANNELS = 2 + conditionsOf(2);
const WINDOW = standardNetwork().window;

/** The noisy leads of windows as the network gets them: what leaving them alone gives. */
function firstLeads(x: Float32Array): Float32Array {
  const out = new Float32Array(WINDOWS * 2 * WINDOW);
  for (let b = 0; b < WINDOWS; b++) {
    out.set(x.subarray(b * CHANNELS * WINDOW, (b * CHANNELS + 2) * WINDOW), b * 2 * WINDOW);
  }
  return out;
}

/** Windows of the test people under the test's noise, of every kind and mixed, by level. */
async function heldOut(): Promise<Map<number, Batch>> {
  const noises = await testNoise(SAMPLES);
  const material: Material = {
    records: await Promise.all(
      TEST.map(async (name) =>
        cleanRecord(
          name,
          (await recording(name)).map((lead) => lead.slice(0, SAMPLES)),
        ),
      ),
    ),
    noises: KINDS.map((kind) => noiseRecord(kind, noises.get(kind)!)),
  };
  const draw = { window: WINDOW, leads: 2, batch: WINDOWS, seed: 1, mixing: 'window' as const };
  return new Map(
    LEVELS.map((level) => [
      level,
      drawBatch(material.records, material.noises, { ...draw, levels: [level, level] }, level + 100),
    ]),
  );
}

/** Leads [2][windows * WINDOW] of windows [windows, 2, WINDOW]. */
const leadsOf = (windows: Float32Array): Float64Array[] =>
  [0, 1].map((lead) =>
    Float64Array.from(
      { length: WINDOWS * WINDOW },
      (_, i) => windows[(2 * Math.floor(i / WINDOW) + lead) * WINDOW + (i % WINDOW)]!,
    ),
  );

async function measure(
  held: ReadonlyMap<number, Batch>,
  output: (batch: Batch) => Promise<Float32Array>,
): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [level, batch] of held) {
    const { snr } = windowMeasures(leadsOf(batch.y), leadsOf(await output(batch)), WINDOW);
    found[`${level}`] = Number(meanOf(snr).toFixed(3));
  }
  return found;
}

export function ablationMarkdown({ steps, batch, windows, input, runs }: AblationResults): string {
  const levels = LEVELS.map(String);
  const rows = Object.keys(VARIANTS).flatMap((variant) => {
    const own = runs.filter((run) => run.variant === variant);
    if (own.length === 0) {
      return [];
    }
    const cells = levels.map((level) => {
      const values = own.map(({ snr }) => snr[level]!);
      return `${meanOf(values).toFixed(2)} ± ${spreadOf(values).toFixed(2)}`;
    });
    const overall = own.map(({ snr }) => meanOf(levels.map((level) => snr[level]!)));
    return [{ variant, cells, overall: meanOf(overall), seeds: own.length }];
  });
  const [first, ...others] = rows;
  const single = others.filter(({ variant }) => variant.startsWith('one kernel'));
  const gain = first && single.length > 0 ? first.overall - Math.max(...single.map(({ overall }) => overall)) : null;
  const verdict =
    gain === null
      ? ''
      : gain > 0.1
        ? `Several kernels are ${gain.toFixed(2)} dB ahead of the better single one. `
        : `**Several kernels buy nothing here**: the better single one is ${Math.abs(gain).toFixed(2)} dB ${gain > 0 ? 'behind' : 'ahead'}. `;
  return [
    '# What the parts of the network are worth',
    '',
    `${verdict}Mean window SNR in dB of the part without drift, ${windows} windows of the test people under the test's noise of every kind and mixed, at the level of the window; the network alone, without gate and slow bands; ${steps} steps of ${batch} windows each, mean ± deviation over seeds.`,
    '',
    `| variant | seeds | ${levels.map((level) => `${level} dB`).join(' | ')} | mean |`,
    `|---|---|${levels.map(() => '---|').join('')}---|`,
    `| left alone | | ${levels.map((level) => input[level]!.toFixed(2)).join(' | ')} | ${meanOf(Object.values(input)).toFixed(2)} |`,
    ...rows.map(
      ({ variant, cells, overall, seeds }) => `| ${[variant, seeds, ...cells, overall.toFixed(2)].join(' | ')} |`,
    ),
    '',
  ].join('\n');
}
