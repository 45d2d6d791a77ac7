/** Mixing and classical lines against `mixing.json` and `classical.json`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { windowMeasures } from '../../ecg/measures/windows.ts';
import { combinedNoise, type Leads, type MixingUnit, mix, moments, power, standardised } from '../../ecg/mixing/mix.ts';
import { physical, readWholeRecord } from '../../ecg/records/wfdb-files.ts';
import type { Section } from '../../ecg/signal/butterworth.ts';
import { Resampler } from '../../ecg/signal/resample.ts';
import { shrink } from '../../ecg/signal/wavelet.ts';
import { zeroPhase } from '../../ecg/signal/zero-phase.ts';
import { differences, type Report } from '../report.ts';

const readJson = <T>(dir: string, name: string): T => JSON.parse(readFileSync(join(dir, name), 'utf8')) as T;
const cut = (leads: Leads, from: number, samples: number): Float64Array[] =>
  leads.map((lead) => lead.subarray(from, from + samples) as Float64Array);
const flat = (leads: Leads): Float64Array => Float64Array.from(leads.flatMap((lead) => [...lead]));

/** Recordings by path, in physical units; each is read once. */
function recordings(dir: string): (path: string) => Promise<Float64Array[]> {
  const known = new Map<string, Promise<Float64Array[]>>();
  return (path) => {
    if (!known.has(path)) {
      known.set(path, readWholeRecord(join(dir, path)).then(physical));
    }
    return known.get(path)!;
  };
}

type MixingCase = {
  record: string;
  record_offset: number;
  noise: string[];
  noise_offset: number;
  samples: number;
  snr_db: number;
  unit: MixingUnit;
  scale: number[];
  noise_std: number[];
  noise_rms: number;
  measured_snr_db: number;
  window_snr_db: number[];
  window_rmse: number[];
  first8: number[][];
  last8: number[][];
};

export async function compareMixing(dir: string, report: Report): Promise<void> {
  const read = recordings(dir);
  for (const [i, stored] of readJson<MixingCase[]>(dir, 'mixing.json').entries()) {
    const name = `mixing[${i}]`;
    try {
      const { samples } = stored;
      const clean = cut(standardised(await read(stored.record)), stored.record_offset, samples);
      const parts: Float64Array[][] = [];
      for (const path of stored.noise) {
        parts.push(cut(await read(path), stored.noise_offset, samples));
      }
      const { mixed, noise, scale } = mix(clean, combinedNoise(parts), stored.snr_db, stored.unit);
      const length = mixed[0]!.length;
      const measures = windowMeasures(clean, mixed);
      const within = cut(clean, 0, length);
      report.item(`${name}/scale`, scale, stored.scale, 1e-6);
      const deviations = noise.map((lead) => moments(lead).deviation);
      report.item(`${name}/noise_std`, deviations, stored.noise_std, 1e-6);
      report.item(`${name}/noise_rms`, [Math.sqrt(power(noise))], [stored.noise_rms], 1e-6);
      const decibels = (key: string, found: ArrayLike<number>, wanted: number[]) => {
        const { abs } = differences(found, wanted);
        report.measured(key, { abs, rel: abs }, 1e-6);
      };
      const measured = 10 * Math.log10(power(within) / power(noise));
      decibels(`${name}/measured_snr_db`, [measured], [stored.measured_snr_db]);
      decibels(`${name}/window_snr_db`, measures.snr, stored.window_snr_db);
      report.item(`${name}/window_rmse`, measures.rmse, stored.window_rmse, 1e-6);
      report.item(`${name}/first8`, flat(cut(mixed, 0, 8)), stored.first8.flat(), 1e-6);
      report.item(`${name}/last8`, flat(cut(mixed, length - 8, 8)), stored.last8.flat(), 1e-6);
    } catch (error) {
      report.unreadable(name, error);
    }
  }
}

type Strip = {
  record: string;
  offset: number;
  samples: number;
  resampled_250_samples: number;
  round_trip_360_250_360_snr_db: number;
};
type Classical = { strips: Strip[]; band_pass_sos: Section[]; high_pass_sos: Section[] };
/** Samples at either end that the strict comparison of the filters leaves out. */
const EDGE = 360;

export async function compareClassical(dir: string, report: Report): Promise<void> {
  const read = recordings(dir);
  const stored = readJson<Classical>(dir, 'classical.json');
  const tensors = readSafetensors(readFileSync(join(dir, 'classical.safetensors')));
  for (const [i, strip] of stored.strips.entries()) {
    const name = `classical/${i}`;
    try {
      const x = cut(standardised(await read(strip.record)), strip.offset, strip.samples);
      const reference = (what: string) => tensors.float32(`${i}.${what}`);
      const filtered = (what: string, leads: Leads) => {
        const wanted = reference(what);
        const inner = (values: ArrayLike<number>) =>
          Array.from(values).filter((_, n) => n % strip.samples >= EDGE && n % strip.samples < strip.samples - EDGE);
        report.item(`${name}.${what}`, inner(flat(leads)), inner(wanted), 1e-4);
        report.item(`${name}.${what}.all`, flat(leads), wanted, 1e-2);
      };
      filtered(
        'band_pass',
        x.map((lead) => zeroPhase(stored.band_pass_sos, lead)),
      );
      filtered(
        'high_pass',
        x.map((lead) => zeroPhase(stored.high_pass_sos, lead)),
      );
      const shrunk = x.map((lead) => shrink(lead).values);
      const [shifted, plain] = ['wavelet', 'wavelet_plain'].map((what) => differences(flat(shrunk), reference(what)));
      const nearer = plain!.abs < shifted!.abs ? 'wavelet_plain' : 'wavelet';
      report.measured(`${name}.wavelet`, nearer === 'wavelet' ? shifted! : plain!, 1e-5);
      report.note(`${name}.wavelet`, nearer);
      if (nearer === 'wavelet') {
        filtered(
          'wavelet_high_pass',
          shrunk.map((lead) => zeroPhase(stored.high_pass_sos, lead)),
        );
      } else {
        report.note(`${name}.wavelet_high_pass`, 'left out: the plain phase was matched');
      }
      compareResampling(name, x, strip, report);
    } catch (error) {
      report.unreadable(name, error);
    }
  }
}

function compareResampling(name: string, x: Leads, strip: Strip, report: Report): void {
  const same = new Resampler(360, 360);
  report.exact(
    `${name}.same_rate`,
    x.every((lead) => same.all(lead).every((value, i) => value === lead[i])),
  );
  const [down, up] = [new Resampler(360, 250), new Resampler(250, 360)];
  const short = x.map((lead) => down.all(lead));
  report.exact(`${name}.resampled_250_samples`, short[0]!.length === strip.resampled_250_samples);
  const back = short.map((lead) => up.all(lead).subarray(0, strip.samples));
  let [signal, error] = [0, 0];
  x.forEach((lead, c) => {
    for (let i = EDGE; i < strip.samples - EDGE; i++) {
      signal += lead[i]! ** 2;
      error += (lead[i]! - back[c]![i]!) ** 2;
    }
  });
  const shortfall = Math.max(0, strip.round_trip_360_250_360_snr_db - 10 * Math.log10(signal / error));
  report.measured(`${name}.round_trip`, { abs: shortfall, rel: shortfall }, 3);
}
