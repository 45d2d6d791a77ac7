/** Headers of EDF (Kemp et al. 1992) and EDF+ (Kemp and Olivan 2003) files: fields of fixed width in ASCII. */
import { recordError } from '../record-error.ts';

export type EdfSignal = {
  label: string;
  transducer: string;
  unit: string;
  physicalMin: number;
  physicalMax: number;
  digitalMin: number;
  digitalMax: number;
  prefilter: string;
  /** Samples in one data record. */
  samples: number;
  reserved: string;
};
export type EdfHeader = {
  patient: string;
  recording: string;
  startDate: string;
  startTime: string;
  /** EDF+D: data records may lie apart in time. */
  kind: 'EDF' | 'EDF+C' | 'EDF+D';
  reserved: string;
  /** Data records; null where the writer did not know. */
  records: number | null;
  /** Seconds that one record lasts; 0 where a file holds annotations alone. */
  duration: number;
  signals: EdfSignal[];
};

const FIXED = 256;
const PER_SIGNAL = 256;
export const ANNOTATIONS = 'EDF Annotations';
export const isAnnotation = ({ label }: EdfSignal): boolean => label === ANNOTATIONS;
/** Bytes of one data record. */
export const recordBytes = ({ signals }: EdfHeader): number =>
  signals.reduce((sum, { samples }) => sum + 2 * samples, 0);
export const headerBytes = (signals: number): number => FIXED + PER_SIGNAL * signals;

const malformed = (detail: string) => recordError('edf_header_malformed', detail);

/** Bytes of the whole header, from its first 256. @throws SextantError `data_invalid` */
export function edfHeaderLength(fixed: Uint8Array): number {
  if (fixed.length < FIXED) {
    throw malformed(`an EDF header has at least ${FIXED} bytes, this file has ${fixed.length}`);
  }
  const text = ascii(fixed.subarray(0, FIXED));
  if (text.slice(0, 8).trim() !== '0') {
    throw malformed(`the file begins with '${printable(text.slice(0, 8))}', an EDF file with 0`);
  }
  const signals = integer(text.slice(252, 256), 'number of signals', 1, 9999);
  const length = integer(text.slice(184, 192), 'number of header bytes', FIXED, 1e8);
  if (length !== headerBytes(signals)) {
    throw malformed(`the header says it has ${length} bytes; ${signals} signals make ${headerBytes(signals)}`);
  }
  return length;
}

/** @throws SextantError `data_invalid` naming the field */
export function parseEdfHeader(bytes: Uint8Array): EdfHeader {
  const length = edfHeaderLength(bytes);
  if (bytes.length < length) {
    throw malformed(`the file ends within its header of ${length} bytes`);
  }
  const text = ascii(bytes.subarray(0, length));
  const reserved = text.slice(192, 236).trimEnd();
  const records = integer(text.slice(236, 244), 'number of data records', -1, 1e8);
  const duration = decimal(text.slice(244, 252), 'duration of a data record');
  if (duration < 0) {
    throw malformed(`a data record lasts ${duration} s`);
  }
  const count = (length - FIXED) / PER_SIGNAL;
  let at = FIXED;
  const column = (width: number): string[] => {
    const fields = Array.from({ length: count }, (_, i) => text.slice(at + i * width, at + (i + 1) * width).trim());
    at += count * width;
    return fields;
  };
  const [labels, transducers, units] = [column(16), column(80), column(8)];
  const [physicalMin, physicalMax, digitalMin, digitalMax] = [column(8), column(8), column(8), column(8)];
  const [prefilters, samples, rest] = [column(80), column(8), column(32)];
  return {
    patient: text.slice(8, 88).trimEnd(),
    recording: text.slice(88, 168).trimEnd(),
    startDate: text.slice(168, 176),
    startTime: text.slice(176, 184),
    kind: reserved.startsWith('EDF+D') ? 'EDF+D' : reserved.startsWith('EDF+C') ? 'EDF+C' : 'EDF',
    reserved,
    records: records < 0 ? null : records,
    duration,
    signals: labels.map((label, i) => ({
      label,
      transducer: transducers[i]!,
      unit: units[i]!,
      physicalMin: decimal(physicalMin[i]!, `physical minimum of signal ${i}`),
      physicalMax: decimal(physicalMax[i]!, `physical maximum of signal ${i}`),
      digitalMin: integer(digitalMin[i]!, `digital minimum of signal ${i}`, -32768, 32767),
      digitalMax: integer(digitalMax[i]!, `digital maximum of signal ${i}`, -32768, 32767),
      prefilter: prefilters[i]!,
      samples: integer(samples[i]!, `samples per record of signal ${i}`, 1, 1e7),
      reserved: rest[i]!,
    })),
  };
}

/** Latin letters stay as they are: patients' names are rarely ASCII, whatever the standard says. */
const ascii = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const printable = (text: string): string => text.replaceAll(/[^ -~]/g, '?').slice(0, 80);

function decimal(field: string, what: string): number {
  const text = field.trim().replace(',', '.');
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) {
    throw malformed(`the ${what} is '${printable(field)}'; it is a number`);
  }
  return value;
}
function integer(field: string, what: string, low: number, high: number): number {
  const value = decimal(field, what);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw malformed(`the ${what} is '${printable(field.trim())}'; it is a whole number from ${low} to ${high}`);
  }
  return value;
}
