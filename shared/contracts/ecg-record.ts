/** How the API takes a recording, and how it gives one back in a request's own form. */
import { z } from 'zod';
import { longArray } from './long-array.ts';
import { randomIdSchema } from './manifest.ts';

/** Units of an electric lead, and what one of them is in millivolts. */
export const VOLTAGE_UNITS: Readonly<Record<string, number>> = {
  nV: 1e-6,
  uV: 1e-3,
  µV: 1e-3,
  μV: 1e-3,
  mV: 1,
  V: 1000,
};
export const [LOWEST_RATE, HIGHEST_RATE] = [50, 2000];
export const MOST_LEADS = 64;

const leadName = z.string().min(1).max(80);
const rateSchema = z.number().min(LOWEST_RATE).max(HIGHEST_RATE).describe('samples per second of every lead');
const unitSchema = z.enum(['nV', 'uV', 'mV', 'V']).describe('unit of the samples');

export const inlineRecordSchema = z.strictObject({
  rate_hz: rateSchema,
  unit: unitSchema,
  leads: z
    .array(
      z.strictObject({
        name: leadName,
        samples: longArray(z.number().min(-1e12).max(1e12).nullable())
          .min(2)
          .describe('one number per sample, null where it is missing'),
      }),
    )
    .min(1)
    .max(MOST_LEADS),
});
export type InlineRecord = z.infer<typeof inlineRecordSchema>;

const uploaded = randomIdSchema('art');
const columnsOf = { artefact: uploaded, rate_hz: rateSchema, unit: unitSchema };
export const ecgRecordSchema = z.union([
  inlineRecordSchema.describe('the samples themselves'),
  z
    .strictObject({
      format: z.literal('wfdb'),
      files: z
        .array(
          z.strictObject({
            name: z
              .string()
              .max(100)
              .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/),
            artefact: uploaded,
          }),
        )
        .min(2)
        .max(MOST_LEADS + 1)
        .describe('the header (.hea) and every signal file that it names, under those names'),
    })
    .describe('a WFDB record in formats 16 and 212'),
  z
    .strictObject({ format: z.literal('edf'), artefact: uploaded })
    .describe('an EDF or EDF+ file, with gaps or without'),
  z
    .strictObject({ format: z.literal('csv'), ...columnsOf })
    .describe('one column per lead, one line per sample, a header line; empty cells are missing'),
  z
    .strictObject({ format: z.literal('json'), artefact: uploaded })
    .describe('an uploaded document of the form that a request takes'),
  z
    .strictObject({ format: z.literal('npy'), ...columnsOf })
    .describe('an array [leads, samples] of float32 or float64; NaN is missing'),
]);
export type EcgRecordSource = z.infer<typeof ecgRecordSchema>;

/** The artefacts of a recording with where they stand in it. */
export function recordInputs(source: EcgRecordSource, pointer: string): { id: string; pointer: string }[] {
  if ('leads' in source) {
    return [];
  }
  if ('files' in source) {
    return source.files.map(({ artefact }, i) => ({ id: artefact, pointer: `${pointer}/files/${i}/artefact` }));
  }
  return [{ id: source.artefact, pointer: `${pointer}/artefact` }];
}
