/** Rotary position embedding (Su et al. 2021, arXiv:2104.09864): reading its settings, and its frequencies. */
import type { Rope } from './architecture.ts';
import type { ConfigReader } from './config-reader.ts';

type Scaling = NonNullable<Rope['scaling']>;

type RopeDefaults = {
  theta?: number;
  /** Families that rotate a part of each head say which; others must rotate whole heads. */
  fraction?: number;
  /** Names of the two settings where a family does not call them `rope_theta` and `partial_rotary_factor`. */
  legacyTheta?: string;
  legacyFraction?: string;
  /** The context before it was stretched, where a config may leave it out. */
  originalContext?: number;
  /** Kinds of scaling that mean another one in this family. */
  kinds?: Readonly<Record<string, string>>;
};

/**
 * The rotary settings of a config, in either spelling: `rope_scaling` with `rope_theta`, which wins where it is written,
 * or `rope_parameters`.
 * @throws SextantError `model_unsupported` for a scaling other than default, linear, dynamic, yarn, longrope and llama3
 */
export function readRope(config: ConfigReader, headDim: number, defaults: RopeDefaults = {}): Rope {
  const [older, newer] = [config.section('rope_scaling'), config.section('rope_parameters')];
  return readRopeSettings(older && !older.empty ? older : newer, config, headDim, defaults);
}

/**
 * The two rotary embeddings of a config that names them by the attention of a layer: `rope` of layers that see all, where
 * an older `rope_scaling` belongs, and `localRope` of those that see a window.
 * @throws SextantError `model_unsupported` as `readRope`, and for a second scaling that depends on the length of the text
 */
export function readLayeredRopes(
  config: ConfigReader,
  headDim: number,
  { theta, local }: { theta: number; local: { theta: number; legacyTheta: string } },
): { rope: Rope; localRope: Rope } {
  const scaling = config.section('rope_scaling');
  const parameters = config.section('rope_parameters');
  const [full, sliding] = ['full_attention', 'sliding_attention'].map((kind) => parameters?.section(kind));
  parameters?.finish();
  const rope = readRopeSettings(scaling && !scaling.empty ? scaling : full, config, headDim, { theta });
  const localRope = readRopeSettings(sliding, config, headDim, local);
  if (localRope.scaling?.kind === 'dynamic' || localRope.scaling?.kind === 'longrope') {
    throw config.refuse('rope_parameters', `${localRope.scaling.kind} is not supported in layers that see a window`);
  }
  return { rope, localRope };
}

/** The same of settings that lie elsewhere in the config. */
function readRopeSettings(
  settings: ConfigReader | undefined,
  config: ConfigReader,
  headDim: number,
  defaults: RopeDefaults = {},
): Rope {
  for (const [from, name] of [
    [config, defaults.legacyTheta ?? 'rope_theta'],
    [settings, 'rope_theta'],
    [settings, 'rope_type'],
  ] as const) {
    if (from?.has(name) && from.raw(name) === undefined) {
      throw from.refuse(name, 'is null; give its value, or leave it out');
    }
  }
  const legacyTheta = config.raw(defaults.legacyTheta ?? 'rope_theta');
  const legacyFraction = defaults.legacyFraction && config.raw(defaults.legacyFraction);
  const theta = settings?.raw('rope_theta') ?? legacyTheta ?? defaults.theta ?? 10_000;
  const fraction = settings?.raw('partial_rotary_factor') ?? legacyFraction ?? defaults.fraction ?? 1;
  if (typeof theta !== 'number' || !(theta > 1)) {
    throw config.refuse('rope_theta', 'must be a number above 1');
  }
  if (typeof fraction !== 'number' || !(fraction > 0 && fraction <= 1)) {
    throw config.refuse('partial_rotary_factor', 'must lie in (0, 1]');
  }
  if (defaults.fraction === undefined && fraction !== 1) {
    throw config.refuse('partial_rotary_factor', 'this family rotates whole heads');
  }
  const period = Math.trunc(headDim * fraction);
  const dims = 2 * Math.ceil(period / 2);
  if (dims === 0 || dims > headDim) {
    throw config.refuse('head_dim', `${headDim} leaves no pair to rotate`);
  }
  return { theta, dims, period, scaling: settings ? readScaling(settings, config, dims / 2, defaults) : null };
}

function readScaling(
  settings: ConfigReader,
  config: ConfigReader,
  pairs: number,
  { kinds = {}, originalContext }: RopeDefaults,
): Rope['scaling'] {
  const written = settings.raw('rope_type') ?? settings.raw('type') ?? 'default';
  settings.raw('type');
  const type = kinds[String(written)] ?? written;
  const read = typeof type === 'string' && Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (!read) {
    throw settings.refuse('rope_type', `'${String(type)}' is not supported; ${Object.keys(READERS).join(', ')} are`);
  }
  const scaling = read(settings, config, pairs, originalContext);
  settings.finish();
  return scaling;
}

const READERS: Record<
  string,
  (settings: ConfigReader, config: ConfigReader, pairs: number, originalContext?: number) => Rope['scaling']
> = {
  default: () => null,
  linear: (settings) => ({ kind: 'linear', factor: readFactor(settings) }),
  dynamic(settings, config, pairs) {
    if (pairs < 2) {
      throw settings.refuse('rope_type', 'dynamic needs more than one pair to rotate');
    }
    settings.raw('original_max_position_embeddings'); // Written by some; the publishers' library reads the config's.
    return { kind: 'dynamic', factor: readFactor(settings), context: config.count('max_position_embeddings') };
  },
  yarn(settings, config) {
    const originalContext = readOriginalContext(settings, config);
    const factor = factorOr(settings, config.count('max_position_embeddings') / originalContext);
    const [mscale, overAll] = [settings.number('mscale', 0), settings.number('mscale_all_dim', 0)];
    const both = mscale !== 0 && overAll !== 0;
    const usual = both ? yarnScale(factor, mscale) / yarnScale(factor, overAll) : yarnScale(factor, 1);
    return {
      kind: 'yarn',
      factor,
      fast: settings.number('beta_fast', 0) || 32,
      slow: settings.number('beta_slow', 0) || 1,
      truncate: settings.flag('truncate', true),
      originalContext,
      attentionFactor: settings.number('attention_factor', usual),
    };
  },
  longrope(settings, config, pairs, fallback) {
    const originalContext = readOriginalContext(settings, config, fallback);
    const factor = settings.number('factor', config.count('max_position_embeddings') / originalContext);
    const usual = factor > 1 ? Math.sqrt(1 + Math.log(factor) / Math.log(originalContext)) : 1;
    return {
      kind: 'longrope',
      short: readFactors(settings, 'short_factor', pairs),
      long: readFactors(settings, 'long_factor', pairs),
      originalContext,
      attentionFactor: settings.number('attention_factor', usual),
    };
  },
  llama3: (settings, config) => ({
    kind: 'llama3',
    factor: readFactor(settings),
    lowFrequency: settings.number('low_freq_factor'),
    highFrequency: settings.number('high_freq_factor'),
    originalContext: readOriginalContext(settings, config),
  }),
};

function readFactor(settings: ConfigReader): number {
  const factor = settings.number('factor');
  if (!(factor >= 1)) {
    throw settings.refuse('factor', 'must be at least 1');
  }
  return factor;
}

/** `factor` where it is written as null means the ratio of the two contexts; absent it is refused. */
function factorOr(settings: ConfigReader, ratio: number): number {
  return settings.has('factor') && settings.raw('factor') === undefined ? ratio : readFactor(settings);
}

/** The context before it was stretched: the config's own field wins, as in the publishers' library. */
function readOriginalContext(settings: ConfigReader, config: ConfigReader, fallback?: number): number {
  const name = 'original_max_position_embeddings';
  const within = settings.raw(name) === undefined ? undefined : settings.count(name);
  if (config.raw(name) !== undefined) {
    return config.count(name);
  }
  return within ?? fallback ?? config.count('max_position_embeddings');
}

function readFactors(settings: ConfigReader, name: string, pairs: number): number[] {
  const value = settings.raw(name);
  if (Array.isArray(value) && value.length === pairs && value.every((x) => Number.isFinite(x) && x > 0)) {
    return value as number[];
  }
  throw settings.refuse(name, `must list ${pairs} numbers above 0`);
}

/** Peng et al. 2023 (YaRN, arXiv:2309.00071), section 3.4. */
const yarnScale = (factor: number, mscale: number): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);

/**
 * Angle per position of each rotated pair, radians, in texts of `length` tokens; `dims / 2` numbers.
 */
export function ropeFrequencies({ theta, dims, period, scaling }: Rope, length = 0): Float64Array {
  const powers = (base: number) => Float64Array.from({ length: dims / 2 }, (_, i) => base ** ((-2 * i) / period));
  const frequencies = powers(theta);
  switch (scaling?.kind) {
    case undefined:
      return frequencies;
    case 'linear':
      return frequencies.map((f) => f / scaling.factor);
    case 'dynamic': {
      const beyond = Math.max(length, scaling.context) / scaling.context;
      return powers(theta * (scaling.factor * beyond - (scaling.factor - 1)) ** (period / (period - 2)));
    }
    case 'longrope': {
      const factors = length > scaling.originalContext ? scaling.long : scaling.short;
      return frequencies.map((f, i) => f / factors[i]!);
    }
    case 'yarn':
      return yarnFrequencies(frequencies, scaling, theta, period);
    case 'llama3':
      return llama3Frequencies(frequencies, scaling);
  }
}

function yarnFrequencies(
  frequencies: Float64Array,
  { factor, fast, slow, truncate, originalContext }: Extract<Scaling, { kind: 'yarn' }>,
  theta: number,
  dims: number,
): Float64Array {
  /** The pair, as a fraction, that turns so often over the original context. */
  const pairOf = (turns: number) => (dims * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [from, to] = truncate ? [Math.floor(pairOf(fast)), Math.ceil(pairOf(slow))] : [pairOf(fast), pairOf(slow)];
  const [first, last] = [Math.max(from, 0), Math.min(to, dims - 1)];
  const width = first === last ? 0.001 : last - first;
  return frequencies.map((f, i) => {
    const stretched = Math.min(1, Math.max(0, (i - first) / width));
    return (f / factor) * stretched + f * (1 - stretched);
  });
}

/** As published with Llama 3.1: wavelengths beyond the original context are stretched, short ones kept. */
function llama3Frequencies(
  frequencies: Float64Array,
  { factor, lowFrequency, highFrequency, originalContext }: Extract<Scaling, { kind: 'llama3' }>,
): Float64Array {
  return frequencies.map((f) => {
    const turns = (originalContext * f) / (2 * Math.PI);
    if (turns < lowFrequency) {
      return f / factor;
    }
    if (turns > highFrequency) {
      return f;
    }
    const smooth = (turns - lowFrequency) / (highFrequency - lowFrequency);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** Factor of the rotated queries and of the rotated keys. */
export const ropeMagnitude = ({ scaling }: Rope): number =>
  scaling?.kind === 'yarn' || scaling?.kind === 'longrope' ? scaling.attentionFactor : 1;

/** Texts of lengths for which this is equal have the same frequencies. */
export function ropeRegime({ scaling }: Rope, length: number): number {
  if (scaling?.kind === 'dynamic') {
    return Math.max(length, scaling.context);
  }
  if (scaling?.kind === 'longrope') {
    return length > scaling.originalContext ? 1 : 0;
  }
  return 0;
}

/** The `rope_parameters` that describe these settings. */
export function ropeConfig({ theta, scaling }: Rope): Record<string, unknown> {
  const base = { rope_theta: theta, rope_type: scaling?.kind ?? 'default' };
  switch (scaling?.kind) {
    case undefined:
      return base;
    case 'linear':
    case 'dynamic':
      return { ...base, factor: scaling.factor };
    case 'yarn':
      return {
        ...base,
        factor: scaling.factor,
        beta_fast: scaling.fast,
        beta_slow: scaling.slow,
        truncate: scaling.truncate,
        attention_factor: scaling.attentionFactor,
        original_max_position_embeddings: scaling.originalContext,
      };
    case 'longrope':
      return {
        ...base,
        short_factor: scaling.short,
        long_factor: scaling.long,
        attention_factor: scaling.attentionFactor,
        original_max_position_embeddings: scaling.originalContext,
      };
    case 'llama3':
      return {
        ...base,
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequency,
        high_freq_factor: scaling.highFrequency,
        original_max_position_embeddings: scaling.originalContext,
      };
  }
}
