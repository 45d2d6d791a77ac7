/** Arrays [leads, samples] by ranges: one for each lead. */
import { npyHeader } from '../../../shared/formats/npy-read.ts';
import type { Artefact, Lead, ReadBytes, Recording } from './recording.ts';

/** More than any header takes that this service writes. */
const HEAD = 4096;

export async function readNpyRecording(
  file: Artefact,
  leads: readonly Lead[],
  bytes: ReadBytes,
  signal: AbortSignal,
): Promise<Recording> {
  const { descriptor, fortran, shape, begin } = npyHeader(await bytes(file, 0, HEAD, signal));
  const width = descriptor === '<f8' ? 8 : descriptor === '<f4' ? 4 : 0;
  const [, samples = 0] = shape;
  if (width === 0 || fortran || shape.length !== 2) {
    throw new Error(`an array [leads, samples] of float32 or float64 is shown, not [${shape}] of ${descriptor}`);
  }
  const rate = leads[0]?.rate ?? 1;
  return {
    leads,
    seconds: samples / rate,
    async read(from, to, stop) {
      const [first, last] = [from, to].map((time) => Math.min(samples, Math.round(time * rate))) as [number, number];
      return Promise.all(
        leads.map(async (_, k) => {
          const at = (sample: number) => begin + width * (k * samples + sample);
          const data = await bytes(file, at(first), at(last), stop);
          const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
          return Float64Array.from({ length: last - first }, (_, i) =>
            width === 8 ? view.getFloat64(8 * i, true) : view.getFloat32(4 * i, true),
          );
        }),
      );
    },
  };
}
