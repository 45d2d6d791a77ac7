/**
 * The samples of a WFDB record in blocks of frames, read from as many files as the header names. Skew is undone: sample
 * t of every lead was taken at the same time; the last frames of a late signal are missing.
 */
import { recordError } from '../record-error.ts';
import { signedChecksum, WFDB_MISSING, type WfdbHeader, type WfdbSignal } from './header.ts';
import { SampleDecoder } from './samples.ts';

/** Bytes of a file of the record, from an offset on. */
export type OpenBytes = (file: string, offset: number) => AsyncIterable<Uint8Array>;

/** Consecutive signals in one file. */
type Group = { signals: number[]; frame: number; read(samples: number): Promise<Int32Array>; rest(): Promise<number> };

/**
 * Blocks of `blockFrames` frames (the last may be shorter): per signal its samples as stored, missing ones included.
 * @throws SextantError `data_invalid` where files are shorter or longer than the header says or do not fit its checksums
 */
export async function* readWfdbFrames(
  header: WfdbHeader,
  open: OpenBytes,
  blockFrames = 4096,
): AsyncGenerator<Int32Array[], void, void> {
  const { signals } = header;
  const groups = groupsOf(header, open);
  const skew = Math.max(...signals.map((signal) => signal.skew));
  // Frames that lie ahead in the file because of skew wait here, per signal.
  const waiting = signals.map((): Int32Array => new Int32Array(0));
  const sums = signals.map(() => 0);
  const swapped = signals.map(() => 0);
  const wanted = header.samples ?? Number.POSITIVE_INFINITY;
  let [fromFile, given] = [0, 0];
  let ended = false;
  while (given < wanted) {
    const goal = Math.min(given + blockFrames, wanted);
    while (!ended && fromFile < goal + skew) {
      const frames = goal + skew - fromFile;
      const blocks = await Promise.all(groups.map((group) => group.read(frames * group.frame)));
      const whole = Math.min(...blocks.map((block, g) => Math.floor(block.length / groups[g]!.frame)));
      groups.forEach((group, g) => {
        spread(group, blocks[g]!, whole, signals).forEach((values, i) => {
          const s = group.signals[i]!;
          waiting[s] = appended(waiting[s]!, values);
        });
      });
      ended = whole < frames;
      if (fromFile + whole < Math.min(wanted, fromFile + frames) && header.samples !== null) {
        throw recordError(
          'wfdb_too_short',
          `the header announces ${header.samples} samples per signal, the files hold ${fromFile + whole}`,
        );
      }
      fromFile += whole;
    }
    const count = Math.min(goal, fromFile) - given;
    if (count <= 0) {
      break;
    }
    const block = signals.map((signal, s) => {
      const [size, late] = [count * signal.samplesPerFrame, (given === 0 ? signal.skew : 0) * signal.samplesPerFrame];
      const values = new Int32Array(size).fill(WFDB_MISSING[signal.format]);
      values.set(waiting[s]!.subarray(late, late + size));
      waiting[s] = waiting[s]!.slice(Math.min(late + size, waiting[s]!.length));
      for (const value of values) {
        sums[s] = (sums[s]! + value) % 65536;
        swapped[s] = (swapped[s]! + (((value & 255) << 8) | ((value >> 8) & 255))) % 65536;
      }
      return values;
    });
    if (given === 0 && count === 0) {
      break;
    }
    given += count;
    yield block;
  }
  await requireEnd(header, groups);
  for (const [s, signal] of signals.entries()) {
    requireChecksum(signal, s, sums[s]!, swapped[s]!);
  }
}

function groupsOf({ signals }: WfdbHeader, open: OpenBytes): Group[] {
  const groups: Group[] = [];
  const files: string[] = [];
  for (const [s, signal] of signals.entries()) {
    if (files.at(-1) === signal.file) {
      const group = groups.at(-1)!;
      if (signals[group.signals[0]!]!.format !== signal.format) {
        throw recordError('wfdb_header_malformed', `signals in ${signal.file} have different formats`);
      }
      group.signals.push(s);
      group.frame += signal.samplesPerFrame;
      continue;
    }
    if (files.includes(signal.file)) {
      throw recordError('wfdb_header_malformed', `signals in ${signal.file} do not stand side by side in the header`);
    }
    files.push(signal.file);
    groups.push({ signals: [s], frame: signal.samplesPerFrame, ...sampleReader(signal, open) });
  }
  return groups;
}

function sampleReader(signal: WfdbSignal, open: OpenBytes): Pick<Group, 'read' | 'rest'> {
  const decoder = new SampleDecoder(signal.format);
  const pieces = open(signal.file, signal.byteOffset)[Symbol.asyncIterator]();
  let ready: Int32Array = new Int32Array(0);
  let done = false;
  const more = async (): Promise<Int32Array> => {
    const piece = await pieces.next();
    done = piece.done === true;
    return piece.done ? decoder.end() : decoder.push(piece.value);
  };
  return {
    async read(samples) {
      const parts = [ready];
      let have = ready.length;
      while (have < samples && !done) {
        const part = await more();
        parts.push(part);
        have += part.length;
      }
      const all = parts.length === 1 ? ready : concatenated(parts, have);
      ready = all.slice(samples);
      return all.subarray(0, samples);
    },
    async rest() {
      let count = ready.length;
      while (!done) {
        count += (await more()).length;
      }
      return count + (decoder.left > 0 ? 1 : 0);
    },
  };
}

function concatenated(parts: readonly Int32Array[], length: number): Int32Array {
  const all = new Int32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
const appended = (a: Int32Array, b: Int32Array): Int32Array =>
  a.length === 0 ? b : concatenated([a, b], a.length + b.length);

/** The samples of each of a group's signals within `frames` frames. */
function spread(group: Group, block: Int32Array, frames: number, signals: readonly WfdbSignal[]): Int32Array[] {
  let before = 0;
  return group.signals.map((s) => {
    const each = signals[s]!.samplesPerFrame;
    const values = new Int32Array(frames * each);
    for (let frame = 0; frame < frames; frame++) {
      for (let i = 0; i < each; i++) {
        values[frame * each + i] = block[frame * group.frame + before + i]!;
      }
    }
    before += each;
    return values;
  });
}

/** A file of format 212 may end with half of a pair that belongs to no frame; anything more was not announced. */
async function requireEnd(header: WfdbHeader, groups: readonly Group[]): Promise<void> {
  for (const group of groups) {
    const signal = header.signals[group.signals[0]!]!;
    const left = await group.rest();
    const odd = signal.format === '212' && ((header.samples ?? 0) * group.frame) % 2 === 1 ? 1 : 0;
    const skewed = Math.max(...header.signals.map(({ skew }) => skew)) * group.frame;
    if (header.samples === null ? left >= group.frame : left > odd + skewed) {
      throw recordError(
        'wfdb_too_long',
        `${signal.file} goes on after the ${header.samples ?? 'whole'} frames that the header announces`,
      );
    }
  }
}

function requireChecksum(signal: WfdbSignal, index: number, sum: number, swapped: number): void {
  // A late signal's own frames are not all read, so its sum is not that of the header.
  if (signal.checksum === null || signal.skew > 0) {
    return;
  }
  const found = signedChecksum(sum);
  if (found === signedChecksum(signal.checksum)) {
    return;
  }
  const hint =
    signal.format === '16' && signedChecksum(swapped) === signedChecksum(signal.checksum)
      ? '; it fits with the two bytes of every sample exchanged (format 61)'
      : '';
  throw recordError(
    'wfdb_checksum',
    `signal ${index}: the samples add up to ${found} modulo 2^16, the header says ${signal.checksum}${hint}`,
  );
}
