/** Writes the parts of EDF+ files that the reader of `shared/formats/edf/` is tried on. */
import type { EdfAnnotation } from '../../shared/formats/edf/annotations.ts';
import { type EdfHeader, type EdfSignal, headerBytes } from '../../shared/formats/edf/header.ts';
import { encodeEdfRecord } from '../../shared/formats/edf/records.ts';

const [SEPARATOR, DURATION] = ['\u0014', '\u0015'];

const signed = (seconds: number): string => `${seconds < 0 ? '-' : '+'}${Number(Math.abs(seconds).toFixed(9))}`;

/** Bytes of one record's annotation signal of `size` bytes; what does not fit is left out and counted. */
export function formatAnnotationLists(
  onset: number,
  annotations: readonly EdfAnnotation[],
  size: number,
): { bytes: Uint8Array; left: number } {
  const bytes = new Uint8Array(size);
  let [at, left] = [0, 0];
  const put = (text: string): void => {
    const list = new TextEncoder().encode(`${text}\0`);
    if (at + list.length > size) {
      left++;
    } else {
      bytes.set(list, at);
      at += list.length;
    }
  };
  put(`${signed(onset)}${SEPARATOR}${SEPARATOR}`);
  for (const { onset: begin, duration, text } of annotations) {
    put(`${signed(begin)}${duration === null ? '' : `${DURATION}${duration}`}${SEPARATOR}${text}${SEPARATOR}`);
  }
  return { bytes, left };
}

/** A whole file of data records, each of one array per signal. */
export function edfFile(
  changes: Partial<EdfHeader> & Pick<EdfHeader, 'signals'>,
  records: readonly ArrayLike<number>[][],
): Uint8Array {
  const plain: EdfHeader = {
    ...{ patient: 'X', recording: 'Startdate X', startDate: '01.02.20', startTime: '03.04.05', kind: 'EDF' },
    ...{ reserved: '', records: records.length, duration: 1, ...changes },
  };
  return Uint8Array.from([...formatEdfHeader(plain), ...records.flatMap((record) => [...encodeEdfRecord(record)])]);
}

/** The header's bytes. @throws RangeError where a field does not fit into its width */
function formatEdfHeader(header: EdfHeader): Uint8Array {
  const { signals } = header;
  const field = (value: string | number, width: number): string => {
    const written = typeof value === 'number' ? shortest(value, width) : value;
    if (written.length > width || !/^[ -~]*$/.test(written)) {
      throw new RangeError(`'${written}' does not fit into ${width} ASCII characters`);
    }
    return written.padEnd(width);
  };
  const column = (width: number, of: (signal: EdfSignal) => string | number): string =>
    signals.map((signal) => field(of(signal), width)).join('');
  const text = [
    field('0', 8),
    field(header.patient, 80),
    field(header.recording, 80),
    field(header.startDate, 8),
    field(header.startTime, 8),
    field(headerBytes(signals.length), 8),
    field(header.reserved || (header.kind === 'EDF' ? '' : header.kind), 44),
    field(header.records ?? -1, 8),
    field(header.duration, 8),
    field(signals.length, 4),
    column(16, ({ label }) => label),
    column(80, ({ transducer }) => transducer),
    column(8, ({ unit }) => unit),
    column(8, ({ physicalMin }) => physicalMin),
    column(8, ({ physicalMax }) => physicalMax),
    column(8, ({ digitalMin }) => digitalMin),
    column(8, ({ digitalMax }) => digitalMax),
    column(80, ({ prefilter }) => prefilter),
    column(8, ({ samples }) => samples),
    column(32, ({ reserved }) => reserved),
  ].join('');
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** A number in as many digits as fit. */
function shortest(value: number, width: number): string {
  for (let digits = 17; digits > 0; digits--) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.length <= width) {
      return text;
    }
  }
  return String(value);
}
