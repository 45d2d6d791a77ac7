/** WFDB records by ranges: frames have one size, so that a time is a place in the file. */
import { parseWfdbHeader, WFDB_MISSING, type WfdbSignal } from '../../../shared/formats/wfdb/header.ts';
import { SampleDecoder } from '../../../shared/formats/wfdb/samples.ts';
import type { Artefact, ReadBytes, Recording } from './recording.ts';

/** Signals that lie side by side in one file. */
type Group = { file: Artefact; signals: WfdbSignal[]; frame: number };

export async function readWfdb(files: readonly Artefact[], bytes: ReadBytes, signal: AbortSignal): Promise<Recording> {
  const head = files.find(({ name }) => name.endsWith('.hea'))!;
  const header = parseWfdbHeader(new TextDecoder().decode(await bytes(head, 0, head.bytes, signal)));
  const groups: Group[] = [];
  for (const one of header.signals) {
    const last = groups.at(-1);
    if (last?.file.name === one.file) {
      last.signals.push(one);
      last.frame += one.samplesPerFrame;
    } else {
      const file = files.find(({ name }) => name === one.file);
      if (!file) {
        throw new Error(`the record names ${one.file}, which is not among its files`);
      }
      groups.push({ file, signals: [one], frame: one.samplesPerFrame });
    }
  }
  return {
    leads: header.signals.map(({ lead, unit, samplesPerFrame }) => ({
      name: lead,
      unit,
      rate: header.rate * samplesPerFrame,
    })),
    seconds: (header.samples ?? 0) / header.rate,
    async read(from, to, stop) {
      const frames = [from, to].map((time) => Math.round(time * header.rate)) as [number, number];
      return (await Promise.all(groups.map((group) => readGroup(group, frames, bytes, stop)))).flat();
    },
  };
}

/** Samples of each signal of the group between two frames. */
async function readGroup(
  { file, signals, frame }: Group,
  [from, to]: readonly [number, number],
  bytes: ReadBytes,
  stop: AbortSignal,
): Promise<Float64Array[]> {
  const { format, byteOffset } = signals[0]!;
  // format 212 packs two samples into three bytes: a pair is read whole
  const first = format === '212' ? Math.floor((from * frame) / 2) * 2 : from * frame;
  const at = (sample: number) => byteOffset + (format === '212' ? Math.ceil(sample / 2) * 3 : 2 * sample);
  const decoder = new SampleDecoder(format);
  const begun = decoder.push(await bytes(file, at(first), at(to * frame), stop));
  const samples = [...begun, ...decoder.end()].slice(from * frame - first);
  const count = Math.min(to - from, Math.floor(samples.length / frame));
  let before = 0;
  return signals.map(({ samplesPerFrame, gain, baseline }) => {
    const place = (i: number) => Math.floor(i / samplesPerFrame) * frame + before + (i % samplesPerFrame);
    const values = Float64Array.from({ length: count * samplesPerFrame }, (_, i) => {
      const value = samples[place(i)]!;
      return value === WFDB_MISSING[format] ? Number.NaN : (value - baseline) / gain;
    });
    before += samplesPerFrame;
    return values;
  });
}
