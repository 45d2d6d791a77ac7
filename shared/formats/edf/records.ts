/** The data records of an EDF or EDF+ file, one after another, and back. */
import { recordError } from '../record-error.ts';
import { type EdfAnnotation, parseAnnotationLists } from './annotations.ts';
import {
  type EdfHeader,
  type EdfSignal,
  edfHeaderLength,
  isAnnotation,
  parseEdfHeader,
  recordBytes,
} from './header.ts';

export type EdfRecord = {
  /** Seconds after the file's start; from the record's own time stamp in EDF+. */
  onset: number;
  /** Per signal its samples as stored; those of annotation signals are pairs of bytes. */
  signals: Int16Array[];
  annotations: EdfAnnotation[];
};

/** Physical units per digital step and the value at digital 0; null for a signal without range. */
export function edfScale(signal: EdfSignal): { gain: number; zero: number } | null {
  const { physicalMin, physicalMax, digitalMin, digitalMax } = signal;
  if (isAnnotation(signal) || physicalMin === physicalMax || digitalMin === digitalMax) {
    return null;
  }
  const gain = (physicalMax - physicalMin) / (digitalMax - digitalMin);
  return { gain, zero: physicalMin - gain * digitalMin };
}

type OpenedEdf = { header: EdfHeader; headerBytes: Uint8Array; records: AsyncGenerator<EdfRecord, void, void> };

/**
 * Reads the header and gives the records as the bytes arrive.
 * @throws SextantError `data_invalid` for a broken header, a truncated record, or another number of records than announced
 */
export async function openEdf(bytes: AsyncIterable<Uint8Array>): Promise<OpenedEdf> {
  const source = new ByteSource(bytes);
  const fixed = await source.take(256);
  const rest = fixed.length < 256 ? new Uint8Array(0) : await source.take(edfHeaderLength(fixed) - 256);
  const headerBytes = new Uint8Array(fixed.length + rest.length);
  headerBytes.set(fixed);
  headerBytes.set(rest, fixed.length);
  const header = parseEdfHeader(headerBytes);
  return { header, headerBytes, records: readRecords(header, source) };
}

async function* readRecords(header: EdfHeader, source: ByteSource): AsyncGenerator<EdfRecord, void, void> {
  const size = recordBytes(header);
  for (let n = 0; ; n++) {
    const bytes = await source.take(size);
    if (bytes.length === 0) {
      if (header.records !== null && n < header.records) {
        throw recordError('edf_too_short', `the header announces ${header.records} data records, the file holds ${n}`);
      }
      return;
    }
    if (bytes.length < size) {
      throw recordError('edf_truncated', `data record ${n + 1} has ${bytes.length} of ${size} bytes`);
    }
    if (header.records !== null && n >= header.records) {
      throw recordError('edf_too_long', `the file goes on after the ${header.records} data records it announces`);
    }
    yield splitRecord(header, bytes, n);
  }
}

function splitRecord(header: EdfHeader, bytes: Uint8Array, index: number): EdfRecord {
  let at = 0;
  let onset: number | null = null;
  const annotations: EdfAnnotation[] = [];
  const signals = header.signals.map((signal) => {
    const part = bytes.subarray(at, at + 2 * signal.samples);
    at += part.length;
    if (isAnnotation(signal)) {
      const lists = parseAnnotationLists(part);
      onset ??= lists.onset;
      annotations.push(...lists.annotations);
    }
    const values = new Int16Array(signal.samples);
    for (let i = 0; i < values.length; i++) {
      values[i] = part[2 * i]! | (part[2 * i + 1]! << 8);
    }
    return values;
  });
  if (onset === null && header.kind === 'EDF+D') {
    throw recordError(
      'edf_onset_missing',
      `data record ${index + 1} of a discontinuous file does not say when it begins`,
    );
  }
  return { onset: onset ?? index * header.duration, signals, annotations };
}

/** Bytes of one data record. */
export function encodeEdfRecord(signals: readonly ArrayLike<number>[]): Uint8Array {
  const bytes = new Uint8Array(signals.reduce((sum, { length }) => sum + 2 * length, 0));
  let at = 0;
  for (const values of signals) {
    for (let i = 0; i < values.length; i++) {
      bytes[at++] = values[i]! & 255;
      bytes[at++] = (values[i]! >> 8) & 255;
    }
  }
  return bytes;
}

/** Bytes from pieces of any size, taken in pieces of another. */
class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #ready: Uint8Array = new Uint8Array(0);

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#pieces = bytes[Symbol.asyncIterator]();
  }

  /** The next `count` bytes; fewer at the end. */
  async take(count: number): Promise<Uint8Array> {
    const parts = [this.#ready];
    let have = this.#ready.length;
    while (have < count) {
      const { value, done } = await this.#pieces.next();
      if (done) {
        break;
      }
      parts.push(value);
      have += value.length;
    }
    const all = new Uint8Array(have);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#ready = all.subarray(count);
    return all.subarray(0, count);
  }
}
