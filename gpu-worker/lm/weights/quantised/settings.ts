/** What a folder says about how its weights are stored: `quantization_config`, or a file beside `config.json`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { readJson } from '../stored-tensors.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Settings of a quantised folder, and the methods that read them; `labels` are as written. */
export type QuantisationSettings = { method: string; fields: Fields };

const FILES = ['quantize_config.json', 'quant_config.json'];
const METHODS = ['gptq', 'awq', 'compressed-tensors', 'bitsandbytes', 'fp8'];

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The settings of a folder, or null where its weights are plain.
 * @throws SextantError `model_unsupported` naming a method that is not read
 */
export function readSettings(path: string, config: Fields): QuantisationSettings | null {
  const section = config.quantization_config ?? config.compression_config;
  if (section !== undefined && section !== null) {
    if (!isObject(section)) {
      throw new SextantError('model_unsupported', 'quantization_config must be an object');
    }
    return { method: methodOf(section), fields: section };
  }
  const file = FILES.find((name) => existsSync(join(path, name)));
  if (!file) {
    return null;
  }
  const fields = readJson(join(path, file));
  if (!isObject(fields)) {
    throw new SextantError('model_unsupported', `${file} must be an object`);
  }
  return { method: methodOf(fields, file === 'quant_config.json' ? 'awq' : 'gptq'), fields };
}

function methodOf(fields: Fields, fallback?: string): string {
  const { quant_method: written, load_in_4bit: four, load_in_8bit: eight } = fields;
  const method = written ?? (four === true || eight === true ? 'bitsandbytes' : (fallback ?? 'gptq'));
  if (method === 'bitsandbytes' || METHODS.includes(method as string)) {
    return method as string;
  }
  throw new SextantError(
    'model_unsupported',
    `weights quantised by '${String(method).slice(0, 60)}' are not supported; ${METHODS.join(', ')} are`,
  );
}

/** A whole number of the settings, or null where there is none; -1 means "all" in group sizes. */
export function numberOf(fields: Fields, ...names: string[]): number | null {
  for (const name of names) {
    const value = fields[name];
    if (value === undefined || value === null) {
      continue;
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < -1 || value > 2 ** 24 || value === 0) {
      throw new SextantError('model_unsupported', `quantization setting '${name}' is ${JSON.stringify(value)}`);
    }
    return value === -1 ? null : value;
  }
  return null;
}
