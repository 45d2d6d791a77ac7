/** `ecg.train`: the denoiser learns from recordings and noise, or from a generator of both. */
import { z } from 'zod';
import { ecgRecordSchema, recordInputs } from '../contracts/ecg-record.ts';
import { modelIdSchema, seedSchema } from '../contracts/manifest.ts';
import { defineJob } from './contract.ts';
import { floats } from './costs.ts';

/** Samples of a window over both leads, and values between the layers of a block that a step keeps of one. */
const [WINDOW, WINDOW_VALUES] = [2 * 1024, 1 << 20];

const validationSchema = z.object({ step: z.number(), snr_in: z.number(), snr_out: z.number() });

export default defineJob({
  type: 'ecg.train',
  summary: 'Train a denoiser of electrocardiograms',
  version: 1,
  scope: 'jobs:write',
  example: { steps: 100, batch: 8 },
  params: z.strictObject({
    records: z
      .array(
        z.strictObject({
          record: ecgRecordSchema,
          patient: z.string().min(1).max(100).describe('recordings of one person stay in one split'),
          split: z.enum(['train', 'validation']),
        }),
      )
      .max(200)
      .default([])
      .describe('clean recordings, of which the first two leads are learned; none: those of the generator'),
    noises: z
      .array(z.strictObject({ record: ecgRecordSchema, kind: z.string().min(1).max(40) }))
      .max(16)
      .default([])
      .describe('recordings of noise, whose last fifth is kept for validation; none: those of the generator'),
    generator: z
      .strictObject({
        patients: z.number().int().min(5).max(1000).default(30),
        seconds: z.number().int().min(40).max(3600).default(60),
        seed: seedSchema.default(0),
      })
      .default({ patients: 30, seconds: 60, seed: 0 })
      .describe('synthetic patients, of whom a fifth validates'),
    protocol: z
      .enum(['patient', 'published'])
      .default('patient')
      .describe(
        'published: windows of the training recordings and of their noise validate too, as in the paper; a leak',
      ),
    mixing: z.enum(['record', 'window']).default('record').describe('what has the drawn signal-to-noise ratio'),
    levels: z
      .tuple([z.number().min(-20).max(40), z.number().min(-20).max(40)])
      .default([-7, 14])
      .describe('signal-to-noise ratios between which one is drawn per window, dB'),
    depth: z.number().int().min(1).max(4).default(1).describe('blocks per stage'),
    kernels: z
      .array(z.number().int().min(1).max(31).multipleOf(1))
      .min(1)
      .max(8)
      .default([1, 3, 5, 7])
      .describe('odd sizes of the convolutions side by side'),
    embed: z.enum(['channel', 'token']).default('channel'),
    separate: z.enum(['inverse', 'halves']).default('inverse').describe('order of tokens in the decoder: (5b) or (5a)'),
    consistency: z
      .boolean()
      .default(false)
      .describe('every second step brings the output for the noisy window nearer to that for the clean one'),
    steps: z.number().int().min(1).max(1_000_000).default(3000),
    batch: z.number().int().min(1).max(512).default(32),
    learning_rate: z.number().positive().max(1).default(0.0015),
    patience: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .nullable()
      .default(10)
      .describe('validations without a better one before the end'),
    every: z.number().int().min(1).max(100_000).default(200).describe('steps between validations'),
    seed: seedSchema.default(0),
  }),
  result: z.object({
    model: modelIdSchema,
    parameters: z.number(),
    steps: z.number(),
    first_step: z.number().describe('above 0 when an interrupted run was continued'),
    validations: z.array(validationSchema),
    best: validationSchema.nullable(),
    protocol: z.string(),
    leak: z.string().nullable().describe('why the figures say more than they should, where they do'),
    estimate_correlation: z.object({ before: z.number(), after: z.number() }),
    data_digest: z.string(),
  }),
  progress: { loss: '1', snr_in: 'dB', snr_out: 'dB', seconds_left: 's' },
  produces: ['model'],
  models: () => [],
  inputs: (p) => [
    ...p.records.flatMap(({ record }, i) => recordInputs(record, `/records/${i}/record`)),
    ...p.noises.flatMap(({ record }, i) => recordInputs(record, `/noises/${i}/record`)),
  ],
  work(p) {
    const validations = Math.ceil(p.steps / p.every);
    // Recordings that are named have lengths that are not known here: half an hour of two leads stands for each.
    const recorded = p.records.length > 0 ? p.records.length * 1800 : p.generator.patients * p.generator.seconds;
    return {
      seconds: {
        start: 1,
        // The consistency step sends the clean window through the network as well.
        windows_trained: p.steps * p.batch * p.depth * (p.consistency ? 1.5 : 1),
        windows_validated: validations * Math.min(512, 16 * p.batch) * p.depth,
        seconds_recorded: recorded,
        recordings_fitted: Math.min(14, Math.ceil(p.steps / 100)),
      },
      memory: {
        process: 1,
        windows: floats(p.batch * p.depth * WINDOW_VALUES * (p.consistency ? 1.3 : 1)),
        validation_windows: floats(Math.min(512, 16 * p.batch) * WINDOW),
        recordings: floats(recorded * 2 * 360),
      },
      artefact_bytes: 4 * 560_000 * (1 + p.depth),
    };
  },
  retention_days: 30,
  sensitive_inputs: true,
});
