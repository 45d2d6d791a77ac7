/** EDF files by ranges: data records have one size and last equally long. */
import { edfHeaderLength, parseEdfHeader, recordBytes } from '../../../shared/formats/edf/header.ts';
import { edfScale } from '../../../shared/formats/edf/records.ts';
import type { Artefact, ReadBytes, Recording } from './recording.ts';

/** Bytes that say how long the header is. */
const FIXED = 256;

/** Times are those of what was recorded: the gaps of a discontinuous file are left out. */
export async function readEdf(file: Artefact, bytes: ReadBytes, signal: AbortSignal): Promise<Recording> {
  const length = edfHeaderLength(await bytes(file, 0, FIXED, signal));
  const header = parseEdfHeader(await bytes(file, 0, length, signal));
  const size = recordBytes(header);
  const records = header.records ?? Math.floor((file.bytes - length) / size);
  let offset = 0;
  const leads = header.signals.flatMap((one) => {
    const begin = offset;
    offset += 2 * one.samples;
    const scale = edfScale(one);
    return scale ? [{ ...one, ...scale, begin }] : [];
  });
  return {
    leads: leads.map(({ label, unit, samples }) => ({ name: label, unit, rate: samples / header.duration })),
    seconds: records * header.duration,
    async read(from, to, stop) {
      const first = Math.max(0, Math.floor(from / header.duration));
      const last = Math.min(records, Math.ceil(to / header.duration));
      const data = await bytes(file, length + first * size, length + last * size, stop);
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      return leads.map(({ begin, samples, gain, zero }) => {
        const rate = samples / header.duration;
        const skipped = Math.round((from - first * header.duration) * rate);
        const count = Math.max(
          0,
          Math.min(Math.round((to - from) * rate), Math.floor(data.length / size) * samples - skipped),
        );
        return Float64Array.from({ length: count }, (_, i) => {
          const [record, within] = [Math.floor((skipped + i) / samples), (skipped + i) % samples];
          return zero + gain * view.getInt16(record * size + begin + 2 * within, true);
        });
      });
    },
  };
}
