/** Texts and words that autoencoders are evaluated with, as token ids of the job's model. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/sae.evaluate.ts';
import type { LatentSteering } from '../../directions/latent-steering.ts';
import type { LanguageModel, Tokenizer } from '../../lm/index.ts';
import { spellingWords, type Vocabulary } from '../../sae/index.ts';
import { encodeTexts, poleTokens, requireTokenizer } from './tokens.ts';

type Params = ParamsOf<typeof contract>;

/** @throws SextantError as `encodeTexts` */
export const encodeLabelled = (model: LanguageModel, labelled: Params['labelled']) =>
  labelled.map(({ name, texts }) => {
    const ids = encodeTexts(
      model,
      texts.map(({ text }) => text),
      `/labelled/${name}`,
    );
    return { name, texts: texts.map(({ label, spurious }, i) => ({ ids: ids[i]!, label, spurious })) };
  });

/** @throws SextantError `data_invalid` where the model has no tokenizer or no word is short enough */
export function openSpelling(
  model: LanguageModel,
  { words, longest, examples }: NonNullable<Params['spelling']>,
): { tokenizer: Tokenizer; vocabulary: Vocabulary; examples: number } {
  const tokenizer = requireTokenizer(model);
  const vocabulary = spellingWords(tokenizer, words, longest);
  if (vocabulary.words.length > 0) {
    return { tokenizer, vocabulary, examples };
  }
  throw paramError('data_invalid', '/spelling', `no word has at most ${longest} tokens of the model`);
}

/** @throws SextantError as `poleTokens` and `encodeTexts` */
export function encodeSteering(model: LanguageModel, steering: NonNullable<Params['steering']>): LatentSteering {
  const poles = poleTokens(model, steering, '/steering');
  const ids = (name: 'positive' | 'negative') => encodeTexts(model, steering[name].texts, `/steering/${name}/texts`);
  return {
    texts: { positive: ids('positive'), negative: ids('negative') },
    poles,
    prompts: encodeTexts(model, steering.prompts, '/steering/prompts'),
    strengths: steering.strengths,
  };
}
