/** Generation: prompts in, texts with token log-probabilities out, with keys and values cached between steps. */
import { SextantError } from '../../shared/contracts/problem.ts';
import { stream } from '../../shared/math/random.ts';
import type { FeedValue } from '../runtime/index.ts';
import { type Batch, makeBatch, positionsOf, type TokenRows } from './batch.ts';
import { logNormaliser, rowOf } from './evaluate.ts';
import { type Intervention, prepareEdit } from './interventions.ts';
import { KvCache } from './kv-cache.ts';
import { causalMask, paddedMask } from './masks.ts';
import type { LanguageModel } from './model.ts';
import { maskName } from './programs.ts';
import { checkSampling, type SamplingOptions, sample } from './sampling.ts';

/** An intervention while generating: on the prompt, on what is generated, or (the default) on both. */
export type GenerationIntervention =
  Exclude<Intervention, { kind: 'splice' }> extends infer I
    ? I extends Intervention
      ? Omit<I, 'positions'> & { during?: 'all' | 'prompt' | 'generated' }
      : never
    : never;

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
};

export type GeneratedToken = {
  row: number;
  token: number /** Under the model, at temperature 1; nats. */;
  logProbability: number;
};

export type Generation = {
  tokens: number[];
  logProbabilities: number[];
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
  if (!(Number.isInteger(maxTokens) && maxTokens >= 0))
    throw new SextantError('data_invalid', `${maxTokens} tokens to generate; it must be a whole number from 0`);
  if (stop.includes('')) throw new SextantError('data_invalid', 'an empty stop string is in every text');
  if (stop.length > 0 && !tokenizer) throw new SextantError('tokenizer_mismatch', 'stop strings need a tokenizer');
  const stopTokens = new Set(options.stopTokens ?? endTokens(model));
  const batch = makeBatch(a, prompts);
  const rows = Array.from(prompts, (prompt, row) => ({
    seen: Array.from(prompt),
    random: stream(seed, `generate row ${options.rowNumbers?.[row] ?? row}`),
    result: { tokens: [], logProbabilities: [], text: '', finish: 'length' } as Generation,
    done: false,
  }));
  const cache = new KvCache(a, batch.starts);
  // The last token is not fed back, so one more than the context has room for can be chosen.
  const limit = Math.min(maxTokens, a.context - batch.seq + 1);
  let ids = batch.ids;
  for (let made = 0; made < limit && rows.some(({ done }) => !done); made++) {
    const during = made === 0 ? 'prompt' : 'generated';
    const edits = interventions.filter(({ during: when = 'all' }) => when === 'all' || when === during);
    const logits = await step(model, batch, cache, ids, edits);
    ids = new BigInt64Array(rows.length);
    for (const [r, row] of rows.entries()) {
      if (row.done) continue;
      const own = rowOf(logits, a.vocabulary, r);
      const token = sample(own, options, row.seen, () => row.random.uniform(1, { start: made })[0]!);
      const logProbability = own[token]! - logNormaliser(own);
      ids[r] = BigInt(token);
      row.seen.push(token);
      row.result.tokens.push(token);
      row.result.logProbabilities.push(logProbability);
      yield { row: r, token, logProbability };
      if (stopTokens.has(token)) [row.done, row.result.finish] = [true, 'stop_token'];
      else if (stop.length > 0) {
        const text = tokenizer!.decode(row.result.tokens);
        if (stop.some((part) => text.includes(part))) [row.done, row.result.finish] = [true, 'stop_string'];
      }
    }
  }
  return rows.map(({ result }) => ({ ...result, text: textOf(model, result, stop) }));
}

/** `generateTokens` without looking at the tokens on the way. */
export async function generate(
  model: LanguageModel,
  prompts: TokenRows,
  options: GenerateOptions = {},
): Promise<Generation[]> {
  const tokens = generateTokens(model, prompts, options);
  for (;;) {
    const { value, done } = await tokens.next();
    if (done) return value;
  }
}

/** Logits [batch, vocabulary] after new tokens (all of the prompt, or one per row), which join the cache. */
async function step(
  model: LanguageModel,
  { batch, starts, padded }: Batch,
  cache: KvCache,
  ids: BigInt64Array,
  interventions: readonly GenerationIntervention[],
): Promise<Float32Array> {
  const seq = ids.length / batch;
  const first = cache.length === 0;
  const edits = interventions.map((intervention, index) =>
    prepareEdit(model.architecture, intervention as Intervention, index, batch, seq),
  );
  const session = await model.programs.session({
    taps: [],
    edits,
    logits: 'rows',
    tapRows: false,
    losses: false,
    final: false,
    padded: true,
    cached: true,
    // A step of one token has a program of its own, with few sizes to be found out while it runs.
    single: seq === 1 && !first && model.programs.roomy,
  });
  const feeds: Record<string, FeedValue> = {
    ids: { shape: [batch, seq], data: ids },
    positions: { shape: [batch, seq], data: positionsOf(starts, seq, cache.length) },
    logit_rows: {
      shape: [batch],
      data: BigInt64Array.from({ length: batch }, (_, row) => BigInt((row + 1) * seq - 1)),
    },
    ...model.shapes.rotary(cache.length + seq),
    ...cache.feeds(seq),
  };
  for (const window of new Set(model.architecture.windows)) {
    // Among new positions padding occurs in the prompt only.
    const data = first && padded ? paddedMask(seq, window, starts) : repeat(causalMask(seq, window), batch);
    feeds[maskName(window)] = { shape: [batch, 1, 1, seq, seq], data };
  }
  for (const edit of edits) Object.assign(feeds, edit.feeds);
  const used = session.program.inputs.map(({ name }) => name);
  const out = await session.run(Object.fromEntries(used.map((name) => [name, feeds[name]!])));
  cache.append(out, seq);
  return out.logits!.data as Float32Array;
}

function repeat(values: Float32Array, times: number): Float32Array {
  if (times === 1) return values;
  const all = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) all.set(values, i * values.length);
  return all;
}

/** Tokens that end a text, by the model's config and its tokenizer. */
export function endTokens({ folder, tokenizer }: LanguageModel): number[] {
  const fromConfig = folder.config.eos_token_id;
  const listed = Array.isArray(fromConfig) ? fromConfig : [fromConfig];
  return [...listed, tokenizer?.eos].filter((id): id is number => typeof id === 'number');
}

function textOf({ tokenizer }: LanguageModel, { tokens, finish }: Generation, stop: readonly string[]): string {
  if (!tokenizer) return '';
  const text = tokenizer.decode(tokens);
  if (finish !== 'stop_string') return text;
  return text.slice(0, Math.min(...stop.map((part) => text.indexOf(part)).filter((at) => at >= 0)));
}
