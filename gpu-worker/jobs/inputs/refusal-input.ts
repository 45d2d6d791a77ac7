/** What both refusal jobs read: prompts as the base model sees them, refusal tokens that it uses, and unrelated text. */
import { paramError } from '../../../shared/contracts/problem.ts';
import { PROMPT_SPLITS, type PromptSplit, type StudyPrompt } from '../../../shared/contracts/prompts.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/refusal.study.ts';
import { stream } from '../../../shared/math/random.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { BehaviourOptions } from '../../directions/refusal/behaviour.ts';
import type { FindOptions } from '../../directions/refusal/find.ts';
import {
  filteredSets,
  type Question,
  type RefusalSets,
  requireSeparation,
  type Separation,
  scoresOf,
} from '../../directions/refusal/prompts.ts';
import { lastLogits } from '../../directions/rows.ts';
import { argMax, type LanguageModel, rowOf } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { openCorpus } from './corpus-input.ts';
import type { OpenedModel } from './model-input.ts';
import { readSplitSets } from './prompt-set-input.ts';
import { openTemplate } from './prompt-template.ts';
import { wholeSequences } from './sequence-sets.ts';
import { singleToken } from './tokens.ts';

type Params = Omit<
  ParamsOf<typeof contract>,
  'copies' | 'removal' | 'attacks' | 'verdict' | 'name' | 'check_weights' | 'publish_ablated'
>;

export type RefusalInput = {
  find: FindOptions;
  behaviour: BehaviourOptions;
  encode: (text: string) => number[];
  separation: Separation;
  /** Refusal tokens that never open an answer of the base model. */
  unused: string[];
  digest: string;
  /** The account of the unrelated text; null without a corpus. */
  text: TextAccount | null;
};

/**
 * @throws SextantError `data_invalid` for prompts in two places, a token that is none or that the base model never uses, sets
 *   that it does not tell apart, or fewer than 16 prompts left of a class
 */
export async function openRefusalInput(
  context: Pick<JobContext<Params>, 'params' | 'input' | 'configuration'>,
  base: OpenedModel,
): Promise<RefusalInput> {
  const { params } = context;
  const { model } = base;
  const { seed } = params;
  const sources = { harmful: params.harmful, harmless: params.harmless };
  const read = await readSplitSets(context, sources, params);
  const { encode, positions: behind } = openTemplate(
    model,
    params.template,
    [...read.harmful.train.slice(0, 32), ...read.harmless.train.slice(0, 32)].map(({ text }) => text),
  );
  const positions = params.positions ?? behind;
  if (positions.length === 0) {
    throw paramError('data_invalid', '/positions', 'the template adds no token after the text; say where to look');
  }
  const questions = (name: 'harmful' | 'harmless') => {
    const asked = (prompts: readonly StudyPrompt[]): Question[] =>
      prompts.map(({ text, answer = null }) => ({ text, answer, ids: encode(text, `/${name}`) }));
    return Object.fromEntries(PROMPT_SPLITS.map((split) => [split, asked(read[name][split])])) as Record<
      PromptSplit,
      Question[]
    >;
  };
  const sets: RefusalSets = { harmful: questions('harmful'), harmless: questions('harmless') };
  const tokens = params.refusal_tokens.map((text, i) => singleToken(model, text, `/refusal_tokens/${i}`));
  const unused = await unusedTokens(model, sets.harmful.train, tokens, params.refusal_tokens);
  const all = (name: 'harmful' | 'harmless') => [...sets[name].train, ...sets[name].validation];
  const separation = requireSeparation(
    await scoresOf(model, all('harmful'), tokens),
    await scoresOf(model, all('harmless'), tokens),
    seed,
  );
  const corpus = params.corpus && (await openCorpus(context, params.corpus, model, base.digest));
  const wanted = { context: params.context, tokens: params.tokens, pointer: '/tokens' };
  const unrelated = corpus && (await wholeSequences(corpus, 'held-out', model, wanted));
  return {
    find: {
      sets: await filteredSets(model, sets, tokens, params.filter),
      tokens,
      positions,
      thresholds: params.thresholds,
      rule: params.rule,
      randomDirections: params.random_directions,
      seed,
    },
    behaviour: {
      tokens,
      phrases: params.phrases,
      maxTokens: params.max_tokens,
      text: unrelated?.sequences ?? [],
      random: stream(seed, 'refusal/intervals'),
    },
    encode,
    separation,
    unused,
    text: unrelated?.text ?? null,
    digest: await sha256Hex(
      canonicalJson({ harmful: read.harmful, harmless: read.harmless, corpus: corpus?.digest ?? null }),
    ),
  };
}

/** @throws SextantError `data_invalid` where none of the tokens opens an answer to a harmful prompt */
async function unusedTokens(
  model: LanguageModel,
  harmful: readonly Question[],
  tokens: readonly number[],
  texts: readonly string[],
): Promise<string[]> {
  const { vocabulary } = model.architecture;
  const logits = await lastLogits(model, harmful);
  const first = new Set(harmful.map((_, row) => argMax(rowOf(logits, vocabulary, row))));
  const unused = texts.filter((_, i) => !first.has(tokens[i]!));
  if (unused.length === texts.length) {
    const common = [...first].slice(0, 5).map((id) => `'${model.tokenizer?.decode([id], { special: true })}'`);
    throw paramError(
      'data_invalid',
      '/refusal_tokens',
      `no answer of the base model to a harmful prompt begins with one of them; they begin with ${common.join(', ')}`,
    );
  }
  return unused;
}
