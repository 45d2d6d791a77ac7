/**
 * WFDB annotations in the MIT format (annot(5)): 16-bit words of a 6-bit code and a 10-bit time difference, after which
 * words with codes 59 to 63 change what belongs to the annotation before them.
 */
import { recordError } from '../record-error.ts';

export type WfdbAnnotation = {
  /** Frames from the beginning of the record. */
  sample: number;
  code: number;
  symbol: string;
  subtype: number;
  chan: number;
  num: number;
  aux: string;
};

const [SKIP, NUM, SUB, CHN, AUX] = [59, 60, 61, 62, 63];
/** Symbols by code, as in the public table (ecgcodes.h). */
const SYMBOLS: readonly string[] = [
  ...[' ', 'N', 'L', 'R', 'a', 'V', 'F', 'J', 'A', 'S', 'E', 'j', '/', 'Q', '~', '[15]', '|', '[17]', 's', 'T', '*'],
  ...['D', '"', '=', 'p', 'B', '^', 't', '+', 'u', '?', '!', '[', ']', 'e', 'n', '@', 'x', 'f', '(', ')', 'r'],
];
const annotationSymbol = (code: number): string => SYMBOLS[code] ?? `[${code}]`;
/** A note on the signal: the code that this service's own annotations have. */
export const NOTE_CODE = 22;

/** @throws SextantError `data_invalid` where the file ends within an annotation */
export function parseWfdbAnnotations(bytes: Uint8Array): WfdbAnnotation[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const annotations: WfdbAnnotation[] = [];
  let [time, chan, num, at] = [0, 0, 0, 0];
  const need = (count: number) => {
    if (at + count > bytes.length) {
      throw recordError('wfdb_annotations_malformed', `the annotations end at byte ${bytes.length} within a word`);
    }
  };
  while (at + 2 <= bytes.length) {
    const word = view.getUint16(at, true);
    at += 2;
    const [code, value] = [word >> 10, word & 1023];
    const current = annotations.at(-1);
    if (code === 0 && value === 0) {
      return annotations;
    }
    if (code === SKIP) {
      need(4);
      time += (view.getInt16(at, true) << 16) | view.getUint16(at + 2, true);
      at += 4;
    } else if (code === AUX) {
      need(value);
      if (current) {
        current.aux = latin(bytes.subarray(at, at + value));
      }
      at += value + (value % 2);
    } else if (code >= NUM) {
      const byte = (value << 24) >> 24;
      if (code === NUM) {
        num = byte;
      }
      if (code === CHN) {
        chan = value & 255;
      }
      if (current && code === SUB) {
        current.subtype = byte;
      }
      if (current) {
        Object.assign(current, { num, chan });
      }
    } else {
      time += value;
      annotations.push({ sample: time, code, symbol: annotationSymbol(code), subtype: 0, chan, num, aux: '' });
    }
  }
  return annotations;
}

const latin = (bytes: Uint8Array): string => {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return text.endsWith('\0') ? text.slice(0, -1) : text;
};

/** The file of annotations; they must lie in the order of time. */
export function formatWfdbAnnotations(annotations: readonly Omit<WfdbAnnotation, 'symbol'>[]): Uint8Array {
  const bytes: number[] = [];
  const word = (code: number, value: number) => {
    const both = (code << 10) | (value & 1023);
    bytes.push(both & 255, both >> 8);
  };
  let [time, chan, num] = [0, 0, 0];
  for (const annotation of annotations) {
    const step = annotation.sample - time;
    if (step < 0) {
      throw recordError('wfdb_annotations_order', `annotation at ${annotation.sample} follows ${time}`);
    }
    time = annotation.sample;
    if (step > 1023) {
      word(SKIP, 0);
      const high = Math.floor(step / 65536);
      bytes.push(high & 255, high >> 8, step & 255, (step >> 8) & 255);
    }
    word(annotation.code, step > 1023 ? 0 : step);
    if (annotation.subtype !== 0) {
      word(SUB, annotation.subtype & 255);
    }
    if (annotation.chan !== chan) {
      word(CHN, annotation.chan & 255);
    }
    if (annotation.num !== num) {
      word(NUM, annotation.num & 255);
    }
    [chan, num] = [annotation.chan, annotation.num];
    if (annotation.aux !== '') {
      const text = annotation.aux.slice(0, 255);
      word(AUX, text.length);
      for (let i = 0; i < text.length; i++) {
        bytes.push(text.charCodeAt(i) & 255);
      }
      if (text.length % 2 === 1) {
        bytes.push(0);
      }
    }
  }
  word(0, 0);
  return Uint8Array.from(bytes);
}
