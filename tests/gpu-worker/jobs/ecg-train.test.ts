/** The job `ecg.train` on the generator: a model that `ecg.denoise` takes, and a run that goes on as if never interrupted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { conditionsOf } from '../../../gpu-worker/ecg/denoise/context.ts';
import { standardNetwork } from '../../../gpu-worker/ecg/network/configuration.ts';
import { cleanRecord, noiseRecord } from '../../../gpu-worker/ecg/training/material.ts';
import { packState, unpackState } from '../../../gpu-worker/ecg/training/state.ts';
import { NOISE_KINDS, syntheticNoise, syntheticPatient } from '../../../gpu-worker/ecg/training/synthetic.ts';
import { type TrainingState, trainDenoiser } from '../../../gpu-worker/ecg/training/train.ts';
import denoise from '../../../gpu-worker/jobs/ecg.denoise.ts';
import handler from '../../../gpu-worker/jobs/ecg.train.ts';
import denoiseContract from '../../../shared/jobs/ecg.denoise.ts';
import contract from '../../../shared/jobs/ecg.train.ts';
import { asInput, jobsOfFile } from './support/run-job.ts';

const { runJob } = jobsOfFile();
const scratch = mkdtempSync(join(tmpdir(), 'ecg-train-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const generator = { patients: 5, seconds: 40, seed: 3 };

describe('a training on the generator', () => {
  it('publishes a model that cleans recordings', async () => {
    const { outcome, files } = await runJob(contract, handler, { generator, steps: 4, batch: 2, every: 2 });
    const { result } = outcome;
    expect(result).toMatchObject({ steps: 4, first_step: 0, leak: null, protocol: 'patient' });
    expect(result.validations).toHaveLength(2);
    const [lead] = syntheticPatient(9, 1, 6) as [Float64Array];
    const record = { rate_hz: 360, unit: 'mV', leads: [{ name: 'I', samples: [...lead] }] };
    const inputs = { [result.model]: asInput(outcome.published[0]!, files) };
    const cleaned = await runJob(denoiseContract, denoise, { record, model: { id: result.model } }, inputs);
    expect(cleaned.outcome.result).toMatchObject({ model: result.model, seconds: 6 });
  }, 240_000);
  it('says that figures of the published protocol leak, and keeps a patient in one split', async () => {
    const leads = syntheticPatient(1, 1, 61).map((samples, c) => ({ name: `${c}`, samples: [...samples] }));
    const record = { rate_hz: 360, unit: 'mV', leads };
    const records = ['train', 'validation'].map((split, i) => ({ record, patient: `20${i + 1}`, split }));
    await expect(runJob(contract, handler, { records })).rejects.toMatchObject({
      code: 'data_invalid',
      message: expect.stringContaining("'202' is in train already"),
    });
  });
});

describe('an interrupted training', () => {
  it('ends with the weights of one that was not, bit by bit', async () => {
    const material = (patients: number[]) => ({
      records: patients.map((p) => cleanRecord(`${p}`, syntheticPatient(5, p, 20))),
      noises: NOISE_KINDS.map((kind) => noiseRecord(kind, syntheticNoise(kind, 5, 20))),
    });
    const network = standardNetwork({ conditions: conditionsOf(2) });
    const settings = { network, steps: 10, batch: 2, rate: 1e-3, seed: 4, levels: [-4, 4] as const };
    const rest = { mixing: 'window' as const, patience: null, every: 5, device: 'cpu' as const, threads: 1 };
    let saved: TrainingState | null = null;
    const run = (resume?: TrainingState) =>
      trainDenoiser(
        material([0, 1]),
        material([2]),
        { ...settings, ...rest },
        {
          ...(resume && { resume }),
          async checkpoint(take) {
            const state = await take();
            if (state.training.step === 5) {
              saved = unpackState(packState(state));
            }
          },
        },
      );
    const whole = await run();
    expect(saved).not.toBeNull();
    const resumed = await run(saved!);
    expect(resumed.validations).toEqual(whole.validations);
    for (const [name, { data }] of Object.entries(whole.weights)) {
      expect(resumed.weights[name]!.data, name).toEqual(data);
    }
  }, 240_000);
});
