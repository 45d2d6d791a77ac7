/** Rotary position embedding (Su et al. 2021, arXiv:2104.09864): reading its settings, and its frequencies. */
import type { Rope } from './architecture.ts';
import type { ConfigReader } from './config-reader.ts';

/**
 * The rotary settings of a config, in either spelling: `rope_parameters`, or `rope_theta` with `rope_scaling`.
 * @throws SextantError `model_unsupported` for a scaling other than none, linear, llama3 or one set of factors
 */
export function readRope(
  config: ConfigReader,
  headDim: number,
  defaults: { theta?: number; fraction?: number; legacyTheta?: string; legacyFraction?: string } = {},
): Rope {
  const settings = config.section('rope_parameters') ?? config.section('rope_scaling');
  const legacyTheta = config.raw('rope_theta') ?? (defaults.legacyTheta && config.raw(defaults.legacyTheta));
  const legacyFraction = defaults.legacyFraction && config.raw(defaults.legacyFraction);
  const theta = settings?.raw('rope_theta') ?? legacyTheta ?? defaults.theta ?? 10_000;
  const fraction = settings?.raw('partial_rotary_factor') ?? legacyFraction ?? defaults.fraction ?? 1;
  if (typeof theta !== 'number' || !(theta > 1)) throw config.refuse('rope_theta', 'must be a number above 1');
  if (typeof fraction !== 'number' || !(fraction > 0 && fraction <= 1))
    throw config.refuse('partial_rotary_factor', 'must lie in (0, 1]');
  if (defaults.fraction === undefined && fraction !== 1)
    throw config.refuse('partial_rotary_factor', 'this family rotates whole heads');
  const period = Math.trunc(headDim * fraction);
  const dims = 2 * Math.ceil(period / 2);
  if (dims === 0 || dims > headDim) throw config.refuse('head_dim', `${headDim} leaves no pair to rotate`);
  return { theta, dims, period, scaling: settings ? readScaling(settings, config, dims / 2) : null };
}

function readScaling(settings: ConfigReader, config: ConfigReader, pairs: number): Rope['scaling'] {
  const type = settings.raw('rope_type') ?? settings.raw('type') ?? 'default';
  settings.raw('type');
  if (type === 'default') {
    settings.finish();
    return null;
  }
  if (type === 'longrope') return readFactors(settings, config, pairs);
  const factor = settings.number('factor');
  if (!(factor >= 1)) throw settings.refuse('factor', 'must be at least 1');
  if (type === 'linear') {
    settings.finish();
    return { kind: 'linear', factor };
  }
  if (type !== 'llama3')
    throw settings.refuse('rope_type', `'${String(type)}' is not supported; default, linear and llama3 are`);
  const scaling = {
    kind: 'llama3' as const,
    factor,
    lowFrequency: settings.number('low_freq_factor'),
    highFrequency: settings.number('high_freq_factor'),
    originalContext: settings.raw('original_max_position_embeddings')
      ? settings.count('original_max_position_embeddings')
      : config.count('original_max_position_embeddings'),
  };
  settings.finish();
  return scaling;
}

/** `longrope` where its factors are the same at every length; others change with the length of the text. */
function readFactors(settings: ConfigReader, config: ConfigReader, pairs: number): Rope['scaling'] {
  const list = (name: string): number[] => {
    const value = settings.raw(name);
    if (Array.isArray(value) && value.length === pairs && value.every((x) => Number.isFinite(x) && x > 0))
      return value as number[];
    throw settings.refuse(name, `must list ${pairs} numbers above 0`);
  };
  const factors = list('short_factor');
  if (list('long_factor').some((factor, i) => factor !== factors[i]))
    throw settings.refuse('long_factor', 'factors that change with the length of the text are not supported');
  settings.raw('factor');
  if (settings.number('attention_factor') !== 1) throw settings.refuse('attention_factor', 'must be 1');
  const from = settings.raw('original_max_position_embeddings') ? settings : config;
  const originalContext = from.count('original_max_position_embeddings');
  settings.finish();
  return { kind: 'factors', factors, originalContext };
}

/** Angle per position of each rotated pair, radians; `dims / 2` numbers. */
export function ropeFrequencies({ theta, dims, period, scaling }: Rope): Float64Array {
  const frequencies = Float64Array.from({ length: dims / 2 }, (_, i) => theta ** ((-2 * i) / period));
  if (scaling === null) return frequencies;
  if (scaling.kind === 'linear') return frequencies.map((f) => f / scaling.factor);
  if (scaling.kind === 'factors') return frequencies.map((f, i) => f / scaling.factors[i]!);
  // As published with Llama 3.1: wavelengths beyond the original context are stretched, short ones kept.
  const { factor, lowFrequency, highFrequency, originalContext } = scaling;
  return frequencies.map((f) => {
    const turns = (originalContext * f) / (2 * Math.PI);
    if (turns < lowFrequency) return f / factor;
    if (turns > highFrequency) return f;
    const smooth = (turns - lowFrequency) / (highFrequency - lowFrequency);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** The `rope_parameters` that describe these settings. */
export function ropeConfig({ theta, scaling }: Rope): Record<string, unknown> {
  if (scaling === null) return { rope_theta: theta, rope_type: 'default' };
  if (scaling.kind === 'linear') return { rope_theta: theta, rope_type: 'linear', factor: scaling.factor };
  if (scaling.kind === 'factors')
    return {
      rope_theta: theta,
      rope_type: 'longrope',
      short_factor: scaling.factors,
      long_factor: scaling.factors,
      attention_factor: 1,
      original_max_position_embeddings: scaling.originalContext,
    };
  return {
    rope_theta: theta,
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequency,
    high_freq_factor: scaling.highFrequency,
    original_max_position_embeddings: scaling.originalContext,
  };
}
