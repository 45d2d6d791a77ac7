/**
 * WFDB record headers (`.hea`; header(5) of the WFDB Applications Guide): one line on the record, one on every signal,
 * comments after `#`. Fields that are left out take the format's own defaults.
 */
import { recordError } from '../record-error.ts';

/** Formats whose samples are read and written here. */
const WFDB_FORMATS = ['16', '212'] as const;
export type WfdbFormat = (typeof WFDB_FORMATS)[number];
/** What stands for "no sample" in a file. */
export const WFDB_MISSING: Readonly<Record<WfdbFormat, number>> = { '16': -32768, '212': -2048 };

export type WfdbSignal = {
  /** Name of the signal file; neighbours with one name share the file. */
  file: string;
  format: WfdbFormat;
  samplesPerFrame: number;
  /** Frames by which the signal lies late in its file. */
  skew: number;
  /** Bytes before the first sample of the file. */
  byteOffset: number;
  /** Units of the converter per physical unit; never 0. */
  gain: number;
  /** The converter's value at 0 physical units. */
  baseline: number;
  unit: string;
  adcResolution: number;
  adcZero: number;
  /** First sample and sum of all samples (signed, modulo 2^16), where the header gives them. */
  first: number | null;
  checksum: number | null;
  blockSize: number;
  lead: string;
};

export type WfdbHeader = {
  name: string;
  /** Frames per second; a signal has `samplesPerFrame` times as many samples. */
  rate: number;
  /** Counter frequency and base counter value as they stand, for example '/360(0)'; empty where not given. */
  counter: string;
  /** Frames; null where the header does not say. */
  samples: number | null;
  /** Base time and date as they stand. */
  start: string;
  signals: WfdbSignal[];
  comments: string[];
};

const malformed = (detail: string) => recordError('wfdb_header_malformed', detail);

const DEFAULT_RATE = 250;
const DEFAULT_GAIN = 200;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** @throws SextantError `data_invalid` naming the line */
export function parseWfdbHeader(text: string): WfdbHeader {
  const comments: string[] = [];
  const lines: string[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line.startsWith('#')) {
      comments.push(line.slice(1));
    } else if (line !== '') {
      lines.push(line);
    }
  }
  if (lines.length === 0) {
    throw malformed('the header holds no record line');
  }
  const [name = '', count = '', rate, samples, ...start] = lines[0]!.split(/\s+/);
  if (name.includes('/')) {
    throw recordError('wfdb_segments_unsupported', `'${name}' is a record of several segments; send them one by one`);
  }
  if (!NAME.test(name)) {
    throw malformed(`'${name.slice(0, 40)}' is no name of a record`);
  }
  const signals = whole(count, 'number of signals', 1, 1000);
  const given = rateOf(rate);
  const frames = samples === undefined ? null : whole(samples, 'number of samples', 0, Number.MAX_SAFE_INTEGER);
  if (lines.length < signals + 1) {
    throw malformed(`the header announces ${signals} signals and describes ${lines.length - 1}`);
  }
  return {
    name,
    ...given,
    samples: frames === 0 ? null : frames,
    start: start.join(' '),
    signals: lines.slice(1, signals + 1).map(parseSignal),
    comments,
  };
}

function rateOf(field: string | undefined): Pick<WfdbHeader, 'rate' | 'counter'> {
  if (field === undefined) {
    return { rate: DEFAULT_RATE, counter: '' };
  }
  const match = /^([0-9.eE+-]+)(\/.*)?$/.exec(field);
  const rate = Number(match?.[1]);
  if (!match || !Number.isFinite(rate) || rate <= 0) {
    throw malformed(`the sampling rate is '${field.slice(0, 40)}'; it is a number above 0`);
  }
  return { rate, counter: match[2] ?? '' };
}

function whole(field: string | undefined, what: string, low: number, high: number): number {
  const value = Number(field);
  if (!/^[+-]?\d+$/.test(field ?? '') || !Number.isSafeInteger(value) || value < low || value > high) {
    throw malformed(`the ${what} is '${String(field).slice(0, 40)}'; it is a whole number from ${low} to ${high}`);
  }
  return value;
}

const FORMAT = /^(\d+)(?:x(\d+))?(?::(-?\d+))?(?:\+(\d+))?$/;
const GAIN = /^([0-9.eE+-]+)(?:\((-?\d+)\))?(?:\/(\S+))?$/;

function parseSignal(line: string, index: number): WfdbSignal {
  const fields = line.split(/\s+/);
  const [file = '', format = '', gain = '0', resolution = '0', zero = '0', first, checksum, block = '0'] = fields;
  const parts = FORMAT.exec(format);
  if (!parts) {
    throw malformed(`signal ${index}: '${format.slice(0, 40)}' is no signal format`);
  }
  if (!(WFDB_FORMATS as readonly string[]).includes(parts[1]!)) {
    throw recordError(
      'wfdb_format_unsupported',
      `signal ${index} is in WFDB format ${parts[1]}; formats 16 and 212 are read`,
    );
  }
  // Names lead to files of the same record alone, never out of its folder.
  if (!NAME.test(file)) {
    throw malformed(`signal ${index}: '${file.slice(0, 40)}' is no name of a signal file`);
  }
  const scale = GAIN.exec(gain);
  const value = Number(scale?.[1]);
  if (!scale || !Number.isFinite(value)) {
    throw malformed(`signal ${index}: '${gain.slice(0, 40)}' is no gain`);
  }
  if (value < 0) {
    throw malformed(`signal ${index}: the gain is ${value}; WFDB gains are above 0, or 0 for the default of 200`);
  }
  const adcZero = whole(zero, `zero of signal ${index}`, -(2 ** 31), 2 ** 31);
  const samplesPerFrame = parts[2] === undefined ? 1 : whole(parts[2], 'samples per frame', 1, 10_000);
  return {
    file,
    format: parts[1] as WfdbFormat,
    samplesPerFrame,
    skew: whole(parts[3] ?? '0', `skew of signal ${index}`, 0, 1_000_000),
    byteOffset: whole(parts[4] ?? '0', `byte offset of signal ${index}`, 0, Number.MAX_SAFE_INTEGER),
    gain: value === 0 ? DEFAULT_GAIN : value,
    baseline: scale[2] === undefined ? adcZero : Number(scale[2]),
    unit: scale[3] ?? 'mV',
    adcResolution: whole(resolution, `resolution of signal ${index}`, 0, 32),
    adcZero,
    first: first === undefined ? null : whole(first, `first value of signal ${index}`, -(2 ** 31), 2 ** 31),
    checksum: checksum === undefined ? null : whole(checksum, `checksum of signal ${index}`, -65536, 65536),
    blockSize: whole(block, `block size of signal ${index}`, 0, 2 ** 31),
    lead: fields.slice(8).join(' ') || `lead ${index}`,
  };
}

/** A sum of samples as a header gives it: modulo 2^16, signed. */
export const signedChecksum = (sum: number): number => {
  const low = ((sum % 65536) + 65536) % 65536;
  return low >= 32768 ? low - 65536 : low;
};

/** The header's text; `first` and `checksum` that are null are written as the zero and 0. */
export function formatWfdbHeader(header: WfdbHeader): string {
  const record = [header.name, header.signals.length, `${header.rate}${header.counter}`, header.samples ?? 0];
  const lines = header.signals.map((signal) => {
    const format = `${signal.format}${signal.samplesPerFrame === 1 ? '' : `x${signal.samplesPerFrame}`}${
      signal.skew === 0 ? '' : `:${signal.skew}`
    }${signal.byteOffset === 0 ? '' : `+${signal.byteOffset}`}`;
    const gain = `${signal.gain}(${signal.baseline})/${signal.unit}`;
    const numbers = [signal.adcResolution, signal.adcZero, signal.first ?? signal.adcZero, signal.checksum ?? 0];
    return [signal.file, format, gain, ...numbers, signal.blockSize, signal.lead].join(' ');
  });
  const comments = header.comments.map((comment) => `#${comment}`);
  return `${[[...record, ...(header.start ? [header.start] : [])].join(' '), ...lines, ...comments].join('\n')}\n`;
}
