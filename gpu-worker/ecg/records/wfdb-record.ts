/** WFDB records as recordings: header, signal files, and the same files with other samples. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VOLTAGE_UNITS } from '../../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type OpenBytes, readWfdbFrames } from '../../../shared/formats/wfdb/frames.ts';
import {
  formatWfdbHeader,
  parseWfdbHeader,
  signedChecksum,
  WFDB_MISSING,
  type WfdbHeader,
  type WfdbSignal,
} from '../../../shared/formats/wfdb/header.ts';
import { SampleEncoder } from '../../../shared/formats/wfdb/samples.ts';
import type { CleanedLead, OpenedRecord } from './record.ts';

/** Frames that are read at a time. */
const BLOCK_FRAMES = 8192;
const LIMITS = { '16': 32767, '212': 2047 } as const;

/** @param openBytes bytes of the record's signal files */
export function openWfdbRecord(headerText: string, openBytes: OpenBytes): OpenedRecord {
  const header = parseWfdbHeader(headerText);
  const electric = header.signals.flatMap((signal, index) => (signal.unit in VOLTAGE_UNITS ? [{ signal, index }] : []));
  if (electric.length === 0) {
    throw new SextantError(
      'data_invalid',
      `no signal is in a unit of voltage: ${[...new Set(header.signals.map(({ unit }) => unit))].join(', ')}; ${Object.keys(VOLTAGE_UNITS).join(', ')} are known`,
    );
  }
  return {
    format: 'wfdb',
    leads: electric.map(({ signal }) => ({
      name: signal.lead,
      unit: signal.unit,
      millivolts: VOLTAGE_UNITS[signal.unit]!,
      rate: header.rate * signal.samplesPerFrame,
      range: converterRange(signal),
    })),
    frameRate: header.rate,
    notices: header.signals.flatMap(({ lead, unit }) =>
      unit in VOLTAGE_UNITS ? [] : [`signal '${lead}' in ${unit} is no voltage: it is passed through as it is`],
    ),
    async *blocks() {
      for await (const block of readWfdbFrames(header, openBytes, BLOCK_FRAMES)) {
        yield electric.map(({ signal, index }) => physicalOf(signal, block[index]!));
      }
    },
    write: (cleaned, folder) =>
      writeRecord(
        header,
        openBytes,
        electric.map(({ index }) => index),
        cleaned,
        folder,
      ),
  };
}

const physicalOf = ({ gain, baseline, format }: WfdbSignal, values: Int32Array): Float64Array =>
  Float64Array.from(values, (value) => (value === WFDB_MISSING[format] ? Number.NaN : (value - baseline) / gain));

/** What the converter can give, where its resolution is known; else what the format can hold. */
function converterRange({ adcResolution, adcZero, baseline, gain, format }: WfdbSignal): { low: number; high: number } {
  const half = adcResolution > 0 && adcResolution <= 16 ? 2 ** (adcResolution - 1) : LIMITS[format] + 1;
  const limit = LIMITS[format];
  return {
    low: (Math.max(adcZero - half, -limit) - baseline) / gain,
    high: (Math.min(adcZero + half - 1, limit) - baseline) / gain,
  };
}

/** Signals keep gain, zero, format and file; frames lie without skew or offset, and checksums are those of the new samples. */
async function writeRecord(
  header: WfdbHeader,
  openBytes: OpenBytes,
  electric: readonly number[],
  cleaned: readonly CleanedLead[],
  folder: string,
): Promise<string[]> {
  const names = [...new Set(header.signals.map(({ file }) => file))];
  const files = await Promise.all(names.map((name) => open(join(folder, name), 'w')));
  const encoders = names.map((name) => new SampleEncoder(header.signals.find(({ file }) => file === name)!.format));
  const sums = header.signals.map(() => 0);
  const first: (number | null)[] = header.signals.map(() => null);
  let frames = 0;
  try {
    for await (const block of readWfdbFrames(header, openBytes, BLOCK_FRAMES)) {
      const count = block[0]!.length / header.signals[0]!.samplesPerFrame;
      for (const [k, s] of electric.entries()) {
        const signal = header.signals[s]!;
        const from = frames * signal.samplesPerFrame;
        block[s] = digitalOf(signal, await cleaned[k]!(from, from + block[s]!.length));
      }
      block.forEach((values, s) => {
        first[s] ??= values[0] ?? null;
        for (const value of values) {
          sums[s] = (sums[s]! + value) % 65536;
        }
      });
      for (const [f, name] of names.entries()) {
        await files[f]!.write(encoders[f]!.push(interleaved(header, block, name, count)));
      }
      frames += count;
    }
    for (const [f, file] of files.entries()) {
      await file.write(encoders[f]!.end());
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
  const signals = header.signals.map((signal, s) => ({
    ...signal,
    skew: 0,
    byteOffset: 0,
    first: first[s]!,
    checksum: signedChecksum(sums[s]!),
  }));
  await writeFile(join(folder, `${header.name}.hea`), formatWfdbHeader({ ...header, samples: frames, signals }));
  return [`${header.name}.hea`, ...names];
}

/** Nearest steps of the converter; the value that means "missing" is never taken by another. */
function digitalOf({ gain, baseline, format }: WfdbSignal, values: Float64Array): Int32Array {
  const [limit, missing] = [LIMITS[format], WFDB_MISSING[format]];
  return Int32Array.from(values, (value) =>
    Number.isNaN(value) ? missing : Math.max(missing + 1, Math.min(limit, Math.round(value * gain + baseline))),
  );
}

function interleaved({ signals }: WfdbHeader, block: readonly Int32Array[], file: string, frames: number): Int32Array {
  const own = signals.flatMap((signal, s) =>
    signal.file === file ? [{ each: signal.samplesPerFrame, values: block[s]! }] : [],
  );
  const size = own.reduce((sum, { each }) => sum + each, 0);
  const out = new Int32Array(frames * size);
  let before = 0;
  for (const { each, values } of own) {
    for (let frame = 0; frame < frames; frame++) {
      for (let i = 0; i < each; i++) {
        out[frame * size + before + i] = values[frame * each + i]!;
      }
    }
    before += each;
  }
  return out;
}
