/** The recordings of the study: MIT-BIH Arrhythmia split by patient, and the noise records split in time. */

import { moments } from '../../../gpu-worker/ecg/mixing/mix.ts';
import { physical, readWholeRecord } from '../../../gpu-worker/ecg/records/wfdb-files.ts';
import { cleanRecord, noiseRecord } from '../../../gpu-worker/ecg/training/material.ts';
import type { Material } from '../../../gpu-worker/ecg/training/train.ts';
import { data } from '../../support/guide.ts';

export const TRAIN = ['101', '114', '118', '119', '215', '223'];
export const VALIDATION = ['230'];
export const TEST = ['100', '103', '105', '111', '200'];
export const KINDS = ['bw', 'ma', 'em'];
/** Samples of noise that are trained on, validated on, and where the test's begin. */
const [TRAINED, VALIDATED] = [260_000, 325_000];

export const recording = async (name: string): Promise<Float64Array[]> =>
  physical(await readWholeRecord(data('ecg', 'mitdb', name)));
export const noise = async (kind: string): Promise<Float64Array[]> =>
  physical(await readWholeRecord(data('ecg', 'nstdb', kind)));

export async function studyMaterial(): Promise<{ train: Material; validation: Material; units: number[][] }> {
  const units: number[][] = [];
  const records = async (names: readonly string[], kept: number[][]) => {
    const found = [];
    for (const name of names) {
      const leads = await recording(name);
      kept.push(leads.map((lead) => moments(lead).deviation));
      found.push(cleanRecord(name, leads));
    }
    return found;
  };
  const cut = async (from: number, to: number) => {
    const found = [];
    for (const kind of KINDS) {
      found.push(
        noiseRecord(
          kind,
          (await noise(kind)).map((lead) => lead.slice(from, to)),
        ),
      );
    }
    return found;
  };
  return {
    train: { records: await records(TRAIN, units), noises: await cut(0, TRAINED) },
    validation: { records: await records(VALIDATION, []), noises: await cut(TRAINED, VALIDATED) },
    units,
  };
}

/** The second half of a noise recording, its means removed and both channels scaled together. */
export async function testNoise(samples: number): Promise<Map<string, Float64Array[]>> {
  const found = new Map<string, Float64Array[]>();
  for (const kind of KINDS) {
    const half = (await noise(kind)).map((lead) => lead.slice(325_000));
    const means = half.map((lead) => moments(lead).mean);
    const power = half.reduce((sum, lead, c) => sum + lead.reduce((s, v) => s + (v - means[c]!) ** 2, 0), 0);
    const factor = 1 / Math.sqrt(power / (half.length * half[0]!.length));
    found.set(
      kind,
      half.map((lead, c) => lead.slice(0, samples).map((value) => (value - means[c]!) * factor)),
    );
  }
  const parts = [...found.values()];
  found.set(
    'mix',
    parts[0]!.map((lead, c) => lead.map((_, i) => parts.reduce((sum, part) => sum + part[c]![i]!, 0))),
  );
  return found;
}
