/** What `ecg.train` learns from and validates on: recordings that params name, or the generator's. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/ecg.train.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import { moments } from '../../ecg/mixing/mix.ts';
import { NETWORK_RATE } from '../../ecg/rate.ts';
import type { OpenedRecord } from '../../ecg/records/record.ts';
import { Resampler } from '../../ecg/signal/resample.ts';
import { type CleanRecord, cleanRecord, type NoiseRecord, noiseRecord } from '../../ecg/training/material.ts';
import { NOISE_KINDS, syntheticNoise, syntheticPatient } from '../../ecg/training/synthetic.ts';
import type { Material } from '../../ecg/training/train.ts';
import type { JobContext } from '../handler.ts';
import { openEcgRecord } from './ecg-record-input.ts';

type Params = ParamsOf<typeof contract>;
type TrainingMaterial = {
  train: Material;
  validation: Material;
  units: number[][];
  digest: string;
  leak: string | null;
};

/** Shortest recordings to learn from, s: stretches of half a minute are cut from what validates. */
const [SHORTEST_RECORD, SHORTEST_NOISE] = [60, 180];
/** Share of a noise recording that is kept for validation, at its end. */
const HELD = 0.2;
/** Records that are known to come from one person under two names (MIT-BIH). */
const SAME_PERSON: Readonly<Record<string, string>> = { '201': 'mit-bih 201 and 202', '202': 'mit-bih 201 and 202' };

/** @throws SextantError `data_invalid` for a patient in two splits, a split without recordings, or recordings too short */
export async function openMaterial(context: JobContext<Params>): Promise<TrainingMaterial> {
  const { params } = context;
  const { records, units } = params.records.length > 0 ? await given(context) : generated(params);
  const noises = await noisesOf(context);
  const of = (split: string) => records.filter((record) => record.split === split).map(({ record }) => record);
  const [train, validation] = [of('train'), of('validation')];
  if (train.length === 0 || validation.length === 0) {
    throw new SextantError(
      'data_invalid',
      `/records: ${train.length} recordings train and ${validation.length} validate; each needs one at least`,
    );
  }
  const digests = [...params.records, ...params.noises].map(({ record }) => record);
  const digest = await sha256Hex(canonicalJson({ digests, generator: params.generator }));
  const leaky = params.protocol === 'published';
  return {
    train: { records: train, noises: noises.train },
    validation: leaky ? { records: train, noises: noises.train } : { records: validation, noises: noises.validation },
    units: units.filter((_, i) => records[i]!.split === 'train'),
    digest,
    leak: leaky
      ? 'validation windows are of the people and the noise that were trained on: figures are too good for anyone else'
      : null,
  };
}

type Split = { record: CleanRecord; split: 'train' | 'validation' };

async function given(context: JobContext<Params>): Promise<{ records: Split[]; units: number[][] }> {
  const { params } = context;
  const splits = new Map<string, string>();
  for (const [i, { patient, split }] of params.records.entries()) {
    const person = SAME_PERSON[patient] ?? patient;
    const before = splits.get(person);
    if (before && before !== split) {
      throw new SextantError(
        'data_invalid',
        `/records/${i}/split: patient '${patient}' is in ${before} already; recordings of one person stay together`,
      );
    }
    splits.set(person, split);
  }
  const [records, units]: [Split[], number[][]] = [[], []];
  for (const [i, { record, patient, split }] of params.records.entries()) {
    const leads = await twoLeads(await openEcgRecord(context, record), `/records/${i}`, SHORTEST_RECORD);
    units.push(leads.map((lead) => moments(lead).deviation));
    records.push({ record: cleanRecord(patient, leads), split });
  }
  return { records, units };
}

function generated({ generator: { patients, seconds, seed } }: Params): { records: Split[]; units: number[][] } {
  const held = Math.ceil(patients / 5);
  const records = Array.from(
    { length: patients },
    (_, p): Split => ({
      record: cleanRecord(`synthetic ${p}`, syntheticPatient(seed, p, seconds)),
      split: p < patients - held ? 'train' : 'validation',
    }),
  );
  // The generator's unit is a standard deviation; a fifth of a millivolt is usual.
  return { records, units: records.map(() => [0.2, 0.2]) };
}

async function noisesOf(context: JobContext<Params>): Promise<{ train: NoiseRecord[]; validation: NoiseRecord[] }> {
  const { noises, generator } = context.params;
  const recordings: { kind: string; leads: Float64Array[] }[] = [];
  for (const [i, { record, kind }] of noises.entries()) {
    recordings.push({
      kind,
      leads: await twoLeads(await openEcgRecord(context, record), `/noises/${i}`, SHORTEST_NOISE),
    });
  }
  if (noises.length === 0) {
    for (const kind of NOISE_KINDS) {
      recordings.push({ kind, leads: syntheticNoise(kind, generator.seed, 300) });
    }
  }
  const cut = (from: number, to: number) =>
    recordings.map(({ kind, leads }) => {
      const n = leads[0]!.length;
      return noiseRecord(
        kind,
        leads.map((lead) => lead.slice(Math.floor(from * n), Math.floor(to * n))),
      );
    });
  return { train: cut(0, 1 - HELD), validation: cut(1 - HELD, 1) };
}

/** The first two leads at the network's rate, in mV; a single one stands for both. Missing samples keep the last value. */
async function twoLeads(record: OpenedRecord, pointer: string, least: number): Promise<Float64Array[]> {
  const blocks: Float64Array[][] = [];
  for await (const block of record.blocks()) {
    blocks.push(block.slice(0, 2));
  }
  const count = Math.min(2, record.leads.length);
  const leads = Array.from({ length: count }, (_, c) => {
    const { rate, millivolts } = record.leads[c]!;
    let last = 0;
    const values = Float64Array.from(
      blocks.flatMap((block) => [...block[c]!]),
      (value) => {
        if (Number.isFinite(value)) {
          last = value * millivolts;
        }
        return last;
      },
    );
    return new Resampler(rate, NETWORK_RATE).all(values);
  });
  const shortest = Math.min(...leads.map(({ length }) => length));
  if (shortest < least * NETWORK_RATE) {
    throw new SextantError(
      'data_invalid',
      `${pointer}: ${Math.floor(shortest / NETWORK_RATE)} s; a recording to learn from has ${least} s at least`,
    );
  }
  const pair = leads.length === 1 ? [leads[0]!, leads[0]!] : leads;
  return pair.map((lead) => lead.slice(0, shortest));
}
