/** EDF and EDF+ files as recordings; whatever is no voltage, annotations included, is passed through byte for byte. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { VOLTAGE_UNITS } from '../../../shared/contracts/ecg-record.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { type EdfSignal, isAnnotation } from '../../../shared/formats/edf/header.ts';
import { type EdfRecord, edfScale, encodeEdfRecord, openEdf } from '../../../shared/formats/edf/records.ts';
import type { CleanedLead, LeadInfo, OpenedRecord } from './record.ts';

/** Longest silence that stands for a gap between data records, s: signals on its two sides do not touch. */
const LONGEST_GAP = 10;
const SHORTENED = `gaps of more than ${LONGEST_GAP} s between data records count as ${LONGEST_GAP} s in the quality's seconds and the picture`;
/** Share of a sample by which onsets may be off. */
const TOLERANCE = 0.5;

/** @param bytes the file from its beginning; called anew for every pass */
export async function openEdfRecord(bytes: () => AsyncIterable<Uint8Array>, name: string): Promise<OpenedRecord> {
  const { header, records } = await openEdf(bytes());
  await records.return();
  const notices: string[] = [];
  const electric = header.signals.flatMap((signal, index) => {
    const why = passedOver(signal);
    if (why !== null && !isAnnotation(signal)) {
      notices.push(`signal '${signal.label}' ${why}: it is passed through as it is`);
    }
    return why === null ? [{ signal, index, scale: edfScale(signal)! }] : [];
  });
  if (electric.length === 0) {
    throw new SextantError('data_invalid', `no signal is an electric lead: ${notices.join('; ')}`);
  }
  if (header.duration === 0) {
    throw new SextantError('data_invalid', 'data records of 0 s hold no signals over time');
  }
  const leads = electric.map(({ signal, scale }): LeadInfo => {
    const [a, b] = [scale.zero + scale.gain * signal.digitalMin, scale.zero + scale.gain * signal.digitalMax];
    return {
      name: signal.label,
      unit: signal.unit,
      millivolts: VOLTAGE_UNITS[signal.unit]!,
      rate: signal.samples / header.duration,
      range: { low: Math.min(a, b), high: Math.max(a, b) },
    };
  });
  /** Seconds of silence before a record: the whole gap, or the longest that is worth computing. */
  const gapBefore = (record: EdfRecord, end: number | null): number => {
    if (end === null) {
      return 0;
    }
    const gap = record.onset - end;
    if (gap < -TOLERANCE / Math.max(...leads.map(({ rate }) => rate))) {
      throw new SextantError(
        'data_invalid',
        `a data record begins at ${record.onset} s, before the last ends at ${end} s`,
      );
    }
    return Math.min(gap, LONGEST_GAP);
  };
  return {
    format: 'edf',
    leads,
    frameRate: leads[0]!.rate,
    notices,
    async *blocks() {
      let end: number | null = null;
      const order = new ByteOrder();
      for await (const record of (await openEdf(bytes())).records) {
        const gap = gapBefore(record, end);
        if (end !== null && gap < record.onset - end && !notices.includes(SHORTENED)) {
          notices.push(SHORTENED);
        }
        yield electric.map(({ signal, index, scale }, k) => {
          order.look(signal, record.signals[index]!);
          const silent = Math.round(gap * leads[k]!.rate);
          const values = new Float64Array(silent + signal.samples).fill(Number.NaN, 0, silent);
          record.signals[index]!.forEach((value, i) => {
            values[silent + i] = scale.zero + scale.gain * value;
          });
          return values;
        });
        end = record.onset + header.duration;
      }
      order.require();
    },
    async write(cleaned: readonly CleanedLead[], folder: string) {
      const file = await open(join(folder, name), 'w');
      const at = electric.map(() => 0);
      let end: number | null = null;
      try {
        const source = await openEdf(bytes());
        await file.write(source.headerBytes);
        for await (const record of source.records) {
          const gap = gapBefore(record, end);
          for (const [k, { signal, index, scale }] of electric.entries()) {
            const from = at[k]! + Math.round(gap * leads[k]!.rate);
            at[k] = from + signal.samples;
            const values = await cleaned[k]!(from, at[k]!);
            const [low, high] = [
              Math.min(signal.digitalMin, signal.digitalMax),
              Math.max(signal.digitalMin, signal.digitalMax),
            ];
            // EDF has no mark for a missing sample: what was there stays.
            record.signals[index]!.forEach((value, i) => {
              const digital = Math.round((values[i]! - scale.zero) / scale.gain);
              record.signals[index]![i] = Number.isNaN(values[i]!) ? value : Math.max(low, Math.min(high, digital));
            });
          }
          await file.write(encodeEdfRecord(record.signals));
          end = record.onset + header.duration;
        }
      } finally {
        await file.close();
      }
      return [name];
    },
  };
}

/** Why a signal is no lead to be cleaned; null where it is one. */
function passedOver(signal: EdfSignal): string | null {
  if (isAnnotation(signal)) {
    return 'holds annotations';
  }
  if (!edfScale(signal)) {
    return 'has no range';
  }
  if (!(signal.unit in VOLTAGE_UNITS)) {
    return `is in '${signal.unit}', no unit of voltage`;
  }
  return null;
}

/**
 * EDF has no checksum, but samples lie between the digital minimum and maximum of their signal: where most do not, and most
 * would with their two bytes exchanged, the file was written in the wrong order.
 */
class ByteOrder {
  #samples = 0;
  #outside = 0;
  #outsideExchanged = 0;

  look({ digitalMin, digitalMax }: EdfSignal, values: Int16Array): void {
    const [low, high] = [Math.min(digitalMin, digitalMax), Math.max(digitalMin, digitalMax)];
    for (const value of values) {
      const exchanged = (((value & 255) << 24) >> 16) | ((value >> 8) & 255);
      this.#outside += value < low || value > high ? 1 : 0;
      this.#outsideExchanged += exchanged < low || exchanged > high ? 1 : 0;
    }
    this.#samples += values.length;
  }

  /** @throws SextantError `data_invalid` */
  require(): void {
    const half = this.#samples / 2;
    if (this.#outside > half && this.#outsideExchanged < half) {
      throw new SextantError(
        'data_invalid',
        `${this.#outside} of ${this.#samples} samples lie outside the digital range of their signals, and fit with their two bytes exchanged; EDF files have the low byte first`,
      );
    }
  }
}
