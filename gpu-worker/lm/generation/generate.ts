/** Generation: prompts in, texts with token log-probabilities out, with keys and values cached between steps. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { stream } from '../../../shared/math/random.ts';
import { hookWidth, requireHook } from '../../../shared/models/hooks.ts';
import type { FeedValue } from '../../runtime/index.ts';
import { rowOf } from '../evaluate.ts';
import { makeBatch, type TokenRows } from '../inference/batch.ts';
import { notFiniteIn } from '../inference/finite.ts';
import { type Intervention, prepareEdit } from '../inference/interventions.ts';
import { KvCache } from '../inference/kv-cache.ts';
import type { LanguageModel } from '../inference/model.ts';
import { isFused, type Variant } from '../inference/programs.ts';
import { named } from '../named.ts';
import { editsOf, type GenerationIntervention, needsRenewal, renewal } from './renewal.ts';
import { checkSampling, likeliest, type SamplingOptions, sample } from './sampling.ts';

export type GenerateOptions = SamplingOptions & {
  maxTokens?: number;
  /** Generation of a row ends where its text contains one of these; the text is cut there. Needs a tokenizer. */
  stop?: readonly string[];
  /** Tokens that end a row; by default the end-of-sequence tokens of the model and its tokenizer. */
  stopTokens?: readonly number[];
  /** Row r draws from the stream named after r, so a row's tokens do not depend on its batch. */
  seed?: number;
  /** The numbers by which the rows draw, where they are part of a longer list; by default 0, 1, 2, ... */
  rowNumbers?: readonly number[];
  interventions?: readonly GenerationIntervention[];
  /** So many of the likeliest tokens are told at each place, beside the chosen one. */
  alternatives?: number;
};

/** `logProbability` is under the model, at temperature 1; nats. */
type LikelyToken = { token: number; logProbability: number };
export type GeneratedToken = LikelyToken & {
  row: number;
  /** The likeliest first; empty unless asked for. */
  alternatives: LikelyToken[];
  /** Set on the last token of a row. */
  finish: Generation['finish'] | null;
};

export type Generation = {
  tokens: number[];
  logProbabilities: number[];
  /** Of each token, the likeliest first; empty unless asked for. */
  alternatives: LikelyToken[][];
  /** Empty where the model has no tokenizer. */
  text: string;
  finish: 'length' | 'stop_token' | 'stop_string';
};

/**
 * Generates until every row has ended, one token per row at a time. Yields each token as it is chosen and returns the
 * rows' results.
 * @throws SextantError as `forward`, and `data_invalid` for sampling options out of range
 */
export async function* generateTokens(
  model: LanguageModel,
  prompts: TokenRows,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, Generation[], void> {
  checkSampling(options);
  const { maxTokens = 128, stop = [], seed = 0, interventions = [] } = options;
  const { architecture: a, tokenizer } = model;
  if (!(Number.isInteger(maxTokens) && maxTokens >= 0)) {
    throw new SextantError('data_invalid', `${maxTokens} tokens to generate; it must be a whole number from 0`);
  }
  if (stop.includes('')) {
    throw new SextantError('data_invalid', 'an empty stop string is in every text');
  }
  if (stop.length > 0 && !tokenizer) {
    throw new SextantError('tokenizer_mismatch', 'stop strings need a tokenizer');
  }
  const stopTokens = new Set(options.stopTokens ?? endTokens(model));
  refusePatterns(model, interventions);
  const { seq, ...padded } = makeBatch(a, prompts);
  const lengths = padded.starts.map((start) => seq - start);
  const rows = Array.from(prompts, (prompt, row) => ({
    seen: Array.from(prompt),
    random: stream(seed, `generate row ${options.rowNumbers?.[row] ?? row}`),
    result: { tokens: [], logProbabilities: [], alternatives: [], text: '', finish: 'length' } as Generation,
    done: false,
  }));
  let cache = new KvCache(a, rows.length);
  let ids = toTheLeft(padded.ids, padded.starts, seq);
  // Of the prompts all tokens are new, afterwards one of each row that goes on.
  let fresh: readonly number[] = lengths;
  for (let made = 0; made < maxTokens && rows.some(({ done }) => !done); made++) {
    const during = made === 0 ? 'prompt' : 'generated';
    const given = made === 0 ? interventions.map((edit) => aligned(model, edit, padded.starts, seq)) : interventions;
    let edits = editsOf(given, during, cache.lengths, ids.length / rows.length);
    if (made > 0 && needsRenewal(a, cache.length)) {
      cache = new KvCache(a, rows.length);
      ({ ids, fresh, edits } = renewal(rows, lengths, interventions));
    }
    const { logits, normalisers } = await step(model, cache, ids, fresh, edits);
    if (rows.some(({ done }, r) => !done && notFiniteIn(normalisers, r, r + 1) !== undefined)) {
      const seen = rows.map((row) => row.seen.slice(0, a.context));
      const anywhere = interventions
        .filter(
          ({ kind, during: when }) =>
            (kind !== 'replace' || made === 0) && [undefined, 'all', during].includes(when as 'all'),
        )
        .map(({ during: _during, ...edit }) => edit as Intervention);
      throw await model.notFinite({ ids: seen, interventions: anywhere });
    }
    ids = new BigInt64Array(rows.length);
    for (const [r, row] of rows.entries()) {
      if (row.done) {
        continue;
      }
      const chances = rowOf(logits, a.vocabulary, r);
      const token = sample(chances, options, row.seen, () => row.random.uniform(1, { start: made })[0]!);
      const logProbability = chances[token]! - normalisers[r]!;
      ids[r] = BigInt(token);
      row.seen.push(token);
      row.result.tokens.push(token);
      row.result.logProbabilities.push(logProbability);
      const alternatives = likeliest(chances, options.alternatives ?? 0).map((other) => ({
        token: other,
        logProbability: chances[other]! - normalisers[r]!,
      }));
      if (options.alternatives) {
        row.result.alternatives.push(alternatives);
      }
      if (stopTokens.has(token)) {
        [row.done, row.result.finish] = [true, 'stop_token'];
      } else if (stop.length > 0) {
        const text = tokenizer?.continuation(Array.from(prompts[r]!), row.result.tokens) ?? '';
        if (stop.some((part) => text.includes(part))) {
          [row.done, row.result.finish] = [true, 'stop_string'];
        }
      }
      // The last token is not fed back, so one more than the context has room for can be chosen.
      if (row.seen.length > a.context) {
        row.done = true;
      }
      const finish = row.done || made + 1 === maxTokens ? row.result.finish : null;
      yield { row: r, token, logProbability, alternatives, finish };
    }
    fresh = rows.map(({ done }) => (done ? 0 : 1));
  }
  return rows.map(({ result }, r) => ({ ...result, text: textOf(model, prompts[r]!, result, stop) }));
}

/** `generateTokens` to its end; `heard` is told each token as it is chosen. */
export async function generate(
  model: LanguageModel,
  prompts: TokenRows,
  options: GenerateOptions = {},
  heard: (token: GeneratedToken) => void = () => {},
): Promise<Generation[]> {
  const tokens = generateTokens(model, prompts, options);
  for (;;) {
    const { value, done } = await tokens.next();
    if (done) {
      return value;
    }
    heard(value);
  }
}

/**
 * Logits [batch, vocabulary] after each row's `fresh` new tokens, the first ones of its part of `ids`, and the logs of
 * their sums of exp [batch]; the tokens join the cache. What follows them in `ids` is computed and never looked at.
 * Prompts and single tokens run in one session: the threads of a second one would spin on the cores of the first.
 */
async function step(
  model: LanguageModel,
  cache: KvCache,
  ids: BigInt64Array,
  fresh: readonly number[],
  interventions: readonly Intervention[],
): Promise<Record<'logits' | 'normalisers', Float32Array>> {
  const batch = fresh.length;
  const seq = ids.length / batch;
  const edits = interventions.map((intervention, index) =>
    prepareEdit(model.architecture, intervention, index, batch, seq),
  );
  const variant: Variant = {
    taps: [],
    edits,
    logits: 'rows',
    tapRows: false,
    losses: false,
    final: false,
    padded: false,
    cached: true,
  };
  const fused = isFused(model.architecture, variant, model.device);
  const session = await model.programs.session(variant);
  cache.reserve(seq);
  // A row that has ended may have filled the context; what it computes is not looked at.
  const last = model.architecture.context - 1;
  const positions = new BigInt64Array(batch * seq);
  for (const [row, length] of cache.lengths.entries()) {
    for (let i = 0; i < seq; i++) {
      positions[row * seq + i] = BigInt(Math.min(last, length + i));
    }
  }
  const feeds: Record<string, FeedValue> = {
    ids: { shape: [batch, seq], data: ids },
    positions: { shape: [batch, seq], data: positions },
    logit_rows: {
      shape: [batch],
      data: BigInt64Array.from(fresh, (count, row) => BigInt(row * seq + Math.max(0, count - 1))),
    },
    ...model.shapes.rotary(cache.length + seq),
    ...cache.buffers(),
    ...(fused
      ? {
          last: { shape: [batch], data: Int32Array.from(cache.lengths, (length) => length + seq - 1) },
          total: { shape: [], data: Int32Array.of(cache.length + seq) },
        }
      : { ...cache.masks(seq), ...model.shapes.causal(seq) }),
  };
  for (const edit of edits) {
    Object.assign(feeds, edit.feeds);
  }
  const used = session.program.inputs.map(({ name }) => name);
  const given = Object.fromEntries(used.map((name) => [name, named(feeds, name)]));
  const out = await session.run(given);
  cache.append(out, seq, fresh);
  return {
    logits: named(out, 'logits').data as Float32Array,
    normalisers: named(out, 'normalisers').data as Float32Array,
  };
}

/** A prompt's intervention, whose values for every position come in left-padded rows, for rows padded behind. */
function aligned(
  { architecture: a }: LanguageModel,
  edit: GenerationIntervention,
  starts: readonly number[],
  seq: number,
): GenerationIntervention {
  if (edit.kind !== 'replace') {
    return edit;
  }
  const width = hookWidth(a, requireHook(a, edit.hook));
  if (width === null || edit.values.length !== starts.length * seq * width) {
    return edit;
  }
  return { ...edit, values: toTheLeft(edit.values, starts, seq) };
}

/** Looking at patterns is not part of attention over cached keys. */
function refusePatterns({ architecture }: LanguageModel, interventions: readonly GenerationIntervention[]): void {
  for (const { hook } of interventions) {
    if (requireHook(architecture, hook).kind === 'attn_pattern') {
      throw new SextantError('data_invalid', `'${hook}': attention patterns can be edited in a forward pass only`);
    }
  }
}

/** Left-padded rows with their padding moved behind them, where causal attention never looks. */
function toTheLeft<T extends BigInt64Array | Float32Array>(padded: T, starts: readonly number[], seq: number): T {
  const moved = padded.slice() as T;
  const perPosition = padded.length / (starts.length * seq);
  for (const [row, start] of starts.entries()) {
    moved.subarray(row * seq * perPosition, (row + 1) * seq * perPosition).copyWithin(0, start * perPosition);
  }
  return moved;
}

/**
 * Tokens that end a text: those of the publisher's `generation_config.json`, or else of the model's config; and the
 * tokenizer's.
 */
function endTokens({ folder, tokenizer, published }: LanguageModel): number[] {
  const fromConfig = published.endTokens ?? folder.config.eos_token_id;
  const listed = Array.isArray(fromConfig) ? fromConfig : [fromConfig];
  return [...listed, tokenizer?.eos].filter((id): id is number => typeof id === 'number');
}

function textOf(
  { tokenizer }: LanguageModel,
  prompt: ArrayLike<number>,
  { tokens, finish }: Generation,
  stop: readonly string[],
): string {
  if (!tokenizer) {
    return '';
  }
  const text = tokenizer.continuation(Array.from(prompt), tokens);
  if (finish !== 'stop_string') {
    return text;
  }
  return text.slice(0, Math.min(...stop.map((part) => text.indexOf(part)).filter((at) => at >= 0)));
}
