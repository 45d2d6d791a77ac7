/** What is known of every second of a recording, as a JSON document and as WFDB annotations. */
import { formatWfdbAnnotations, NOTE_CODE } from '../../../shared/formats/wfdb/annotations.ts';
import type { DenoisedRecord } from '../../ecg/denoise/record-denoiser.ts';
import { FLAGS } from '../../ecg/quality/flags.ts';

const digits = (value: number | null): number | null => (value === null ? null : Number(value.toFixed(1)));

/** Per lead three columns of one entry a second: estimated ratios in dB, and the names of its flags. */
export const qualityDocument = ({ leads }: DenoisedRecord): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      second: 1,
      flags: FLAGS,
      leads: leads.map(({ lead, seconds }) => ({
        name: lead.name,
        snr_before: seconds.map(({ before }) => digits(before)),
        snr_after: seconds.map(({ after }) => digits(after)),
        flags: seconds.map(({ flags }) => flags),
      })),
    }),
  );

/** A note at the beginning of every flagged second, on the lead's number, with the flags as its text. */
export function qualityAnnotations({ leads, frameRate }: DenoisedRecord): Uint8Array {
  const notes = leads.flatMap(({ seconds }, chan) =>
    seconds.flatMap(({ flags }, second) =>
      flags.length === 0
        ? []
        : [{ sample: Math.round(second * frameRate), code: NOTE_CODE, subtype: 0, chan, num: 0, aux: flags.join(' ') }],
    ),
  );
  return formatWfdbAnnotations(notes.sort((a, b) => a.sample - b.sample || a.chan - b.chan));
}

/** Means over a lead's seconds, and how many have each flag. */
export function leadSummaries({ leads }: DenoisedRecord) {
  return leads.map(({ lead, seconds }) => {
    const mean = (values: readonly (number | null)[]) => {
      const known = values.filter((value) => value !== null);
      return known.length === 0 ? null : digits(known.reduce((sum, value) => sum + value, 0) / known.length);
    };
    return {
      name: lead.name,
      unit: lead.unit,
      rate_hz: lead.rate,
      snr_before: mean(seconds.map(({ before }) => before)),
      snr_after: mean(seconds.map(({ after }) => after)),
      flags: Object.fromEntries(
        FLAGS.map((flag) => [flag, seconds.filter(({ flags }) => flags.includes(flag)).length]),
      ),
    };
  });
}
