/** `ecg.denoise`: a recording comes back clean in its own format, with what every second is worth. */
import { z } from 'zod';
import { ecgRecordSchema, inlineRecordSchema, recordInputs } from '../contracts/ecg-record.ts';
import { modelReferenceSchema } from '../contracts/model.ts';
import { defineJob } from './contract.ts';
import { modelInput } from './references.ts';

const shares = z.record(z.string(), z.number()).describe('seconds with each flag');

export default defineJob({
  type: 'ecg.denoise',
  summary: 'Remove noise from an electrocardiogram',
  version: 1,
  scope: 'jobs:write',
  example: { record: { rate_hz: 250, unit: 'mV', leads: [{ name: 'II', samples: [0.01, 0.02, null, 0.04] }] } },
  params: z.strictObject({
    record: ecgRecordSchema,
    model: modelReferenceSchema
      .nullable()
      .default(null)
      .describe('a model that ecg.train made; null: the one that ships'),
    picture: z.boolean().default(true).describe('an SVG of the recording before and after'),
  }),
  result: z.object({
    files: z.array(z.string()).describe('artefacts that hold the recording, in the format it came in'),
    record: inlineRecordSchema
      .nullable()
      .describe('the recording itself, where the request held it and the result can; else it is in the files alone'),
    quality: z.string().describe('artefact with the estimates and flags of every second'),
    annotations: z.string().describe('artefact with the flags as WFDB annotations'),
    picture: z.string().nullable(),
    seconds: z.number(),
    leads: z.array(
      z.object({
        name: z.string(),
        unit: z.string(),
        rate_hz: z.number(),
        snr_before: z.number().nullable().describe('estimated, mean over seconds, dB'),
        snr_after: z.number().nullable(),
        flags: shares,
      }),
    ),
    notices: z.array(z.string()),
    model: z.string().describe('mdl_ id, alias, or shipped'),
    times_real_time: z.number(),
  }),
  progress: { times_real_time: 'seconds of recording per second' },
  produces: [],
  models: (p) => (p.model ? [{ reference: p.model, pointer: '/model', hooks: [], task: 'ecg' }] : []),
  inputs: (p) => [...recordInputs(p.record, '/record'), ...(p.model ? modelInput(p.model) : [])],
  work(p) {
    const inline = 'leads' in p.record ? p.record : null;
    // The length of an uploaded recording is not known here: an hour of two leads stands for it.
    const samples = inline ? inline.leads.reduce((sum, { samples: own }) => sum + own.length, 0) : 2.6e6;
    const seconds = samples / (inline?.rate_hz ?? 360);
    return {
      seconds: { start: 1, seconds_denoised: seconds, samples },
      memory: { process: 1, samples: 8 * samples },
      artefact_bytes: 1e6 + 4 * samples,
    };
  },
  interactive: {
    // an uploaded recording may have any length
    largest: { samples: 1_000_000 },
    of: ({ record }) => ({
      samples:
        'leads' in record
          ? record.leads.reduce((sum, { samples }) => sum + samples.length, 0)
          : Number.POSITIVE_INFINITY,
    }),
  },
  retention_days: 1,
  sensitive_inputs: true,
});
