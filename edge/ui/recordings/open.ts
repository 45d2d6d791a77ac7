/** Opens what a job of type `ecg.denoise` made, by the format of its files. */
import type { Job } from '../../client/index.ts';
import type { Place } from '../view.ts';
import { readColumns } from './columns.ts';
import { readEdf } from './edf.ts';
import { readNpyRecording } from './npy.ts';
import type { Lead, ReadBytes, Recording } from './recording.ts';
import { readWfdb } from './wfdb.ts';

/** The recording that `ecg.denoise` made. @throws Error saying why it cannot be shown */
export async function openRecording(
  job: Job,
  leads: readonly Lead[],
  seconds: number,
  place: Place,
): Promise<Recording> {
  const names = job.result?.files as string[];
  const files = names.map((name) => job.artefacts.find((artefact) => artefact.name === name)!);
  const bytes: ReadBytes = async (artefact, from, to, signal) => {
    const end = Math.min(to, artefact.bytes);
    if (end <= from) {
      return new Uint8Array(0);
    }
    const answer = await place.client.artefacts.get(artefact.id, { range: `bytes=${from}-${end - 1}`, signal });
    return new Uint8Array(await answer.arrayBuffer());
  };
  const [first] = files;
  const kind = names.find((name) => name.endsWith('.hea')) ? 'hea' : (names[0]?.split('.').at(-1) ?? '');
  switch (kind) {
    case 'hea':
      return readWfdb(files, bytes, place.signal);
    case 'edf':
      return readEdf(first!, bytes, place.signal);
    case 'npy':
      return readNpyRecording(first!, leads, bytes, place.signal);
    default:
      return readColumns(first!, kind, leads, seconds, bytes, place.signal);
  }
}
