/** Generation: prompts in, texts with token log-probabilities out. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { hookWidth, requireHook } from '../../../shared/models/hooks.ts';
import { rowOf } from '../evaluate.ts';
import { makeBatch, type TokenRows } from '../inference/batch.ts';
import { notFiniteIn } from '../inference/finite.ts';
import type { Intervention } from '../inference/interventions.ts';
import { KvCache } from '../inference/kv-cache.ts';
import type { LanguageModel } from '../inference/model.ts';
import { decodeStep } from './decode-step.ts';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.ts';
import { editsOf, type GenerationIntervention, needsRenewal, renewal } from './renewal.ts';
import { textRows } from './text-row.ts';

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
  const { maxTokens = 128, interventions = [] } = options;
  const { architecture: a } = model;
  const rows = textRows(model, prompts, options);
  refusePatterns(model, interventions);
  const { seq, ...padded } = makeBatch(a, prompts);
  const lengths = padded.starts.map((start) => seq - start);
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
    const { logits, normalisers } = await decodeStep(model, cache, ids, fresh, edits);
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
      const token = row.take(rowOf(logits, a.vocabulary, r), normalisers[r]!);
      ids[r] = BigInt(token.token);
      yield { row: r, ...token };
    }
    fresh = rows.map(({ done }) => (done ? 0 : 1));
  }
  return rows.map((row) => row.result());
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
