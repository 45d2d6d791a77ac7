/** Files of recordings, and containers of them, that are not read here: refused by name rather than as garbage. */
import { recordError } from './record-error.ts';

const text = (bytes: Uint8Array, from: number, length: number): string =>
  Array.from(bytes.subarray(from, from + length), (byte) => String.fromCharCode(byte)).join('');

const KINDS: readonly { name: string; is(bytes: Uint8Array): boolean }[] = [
  { name: 'a DICOM waveform', is: (bytes) => text(bytes, 128, 4) === 'DICM' },
  { name: 'an SCP-ECG record', is: (bytes) => text(bytes, 16, 6) === 'SCPECG' },
  { name: 'an HL7 annotated ECG (aECG)', is: (bytes) => /<\s*(\w+:)?AnnotatedECG/.test(text(bytes, 0, 2000)) },
  { name: 'an ISHNE Holter file', is: (bytes) => text(bytes, 0, 8) === 'ISHNE1.0' || text(bytes, 0, 8) === 'ANN  1.0' },
  { name: 'a zip archive', is: (bytes) => text(bytes, 0, 4) === 'PK\u0003\u0004' },
  { name: 'a gzip file', is: (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8 },
  { name: 'a BDF file of 24-bit samples', is: (bytes) => bytes[0] === 0xff && text(bytes, 1, 7) === 'BIOSEMI' },
];

/** @param bytes the first 2,000 bytes of a file @throws SextantError `data_invalid` naming what it is */
export function refuseForeign(bytes: Uint8Array, wanted: string): void {
  const kind = KINDS.find(({ is }) => is(bytes));
  if (kind) {
    throw recordError('record_format_unsupported', `the file is ${kind.name}, which is not read; send ${wanted}`);
  }
}
