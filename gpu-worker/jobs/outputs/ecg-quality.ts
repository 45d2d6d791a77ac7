/** What is known of every second of a recording, as a JSON document and as WFDB annotations. */
import { formatWfdbAnnotations, NOTE_CODE } from '../../../shared/formats/wfdb/annotations.ts';
import type { DenoisedRecord } from '../../ecg/denoise/record-denoiser.ts';
import { FLAGS, type Flag } from '../../ecg/quality/flags.ts';

const digits = (value: number | null): number | null => (value === null ? null : Number(value.toFixed(1)));

/** Per lead three columns of one entry a second: estimated ratios in dB, and the names of its flags. */
export const qualityDocument = ({ leads }: DenoisedRecord): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      second: 1,
      flags: FLAGS,
      leads: leads.map(({ lead, seconds }) => ({
        name: lead.name,
        snr_before: Array.from(seconds, ({ before }) => digits(before)),
        snr_after: Array.from(seconds, ({ after }) => digits(after)),
        flags: Array.from(seconds, ({ flags }) => flags),
      })),
    }),
  );

/** A note at the beginning of every flagged second, on the lead's number, with the flags as its text. */
export function qualityAnnotations({ leads, frameRate }: DenoisedRecord): Uint8Array {
  const notes = leads.flatMap(({ seconds }, chan) =>
    [...seconds].flatMap(({ flags }, second) =>
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
    const flagged = Object.fromEntries(FLAGS.map((flag) => [flag, 0])) as Record<Flag, number>;
    const [before, after] = [new MeanOfKnown(), new MeanOfKnown()];
    for (const second of seconds) {
      before.add(second.before);
      after.add(second.after);
      for (const flag of second.flags) {
        flagged[flag]++;
      }
    }
    return {
      name: lead.name,
      unit: lead.unit,
      rate_hz: lead.rate,
      snr_before: digits(before.value),
      snr_after: digits(after.value),
      flags: flagged,
    };
  });
}

class MeanOfKnown {
  #sum = 0;
  #count = 0;

  add(value: number | null): void {
    if (value !== null) {
      this.#sum += value;
      this.#count++;
    }
  }
  get value(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }
}
