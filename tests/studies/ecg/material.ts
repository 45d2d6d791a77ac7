/** The recordings of the study: MIT-BIH Arrhythmia split by patient, and the noise records split in time. */

import { combinedNoise, moments, standardised } from '../../../gpu-worker/ecg/mixing/mix.ts';
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

/** The first samples of a test record, standardised per lead over what is used of it. */
export const testRecord = async (name: string, samples: number): Promise<Float64Array[]> =>
  standardised((await recording(name)).map((lead) => lead.slice(0, samples)));

/** Millivolts of one unit of a test record's first lead. */
export const firstLeadUnit = async (name: string, samples: number): Promise<number> =>
  moments((await recording(name))[0]!.slice(0, samples)).deviation;

/** By type the second half of the noise recordings as far as it is used, and the sum of all three at unit deviation. */
export async function testNoise(samples: number): Promise<Map<string, Float64Array[]>> {
  const cuts = new Map<string, Float64Array[]>();
  for (const kind of KINDS) {
    cuts.set(
      kind,
      (await noise(kind)).map((lead) => lead.slice(VALIDATED, VALIDATED + samples)),
    );
  }
  const found = new Map([...cuts].map(([kind, cut]) => [kind, combinedNoise([cut])]));
  return found.set('mix', combinedNoise([...cuts.values()]));
}
