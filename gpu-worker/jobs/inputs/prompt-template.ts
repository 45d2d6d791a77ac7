/** A user's text as the token ids of a prompt, by a template, and the template tokens that follow it. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { PromptTemplate } from '../../../shared/contracts/prompts.ts';
import { type LanguageModel, renderChat } from '../../lm/index.ts';
import { requireTokenizer } from './tokens.ts';

type Rendered = {
  /** @throws SextantError `data_invalid` for a text without tokens, `context_exceeded` */
  encode(text: string, pointer?: string): number[];
  /** Negative positions of the tokens that the template adds after the text. */
  positions: number[];
};

/** Most positions behind a text that are looked at. */
const MOST = 16;
const SAMPLES = 64;

/** @throws SextantError `data_invalid` where the model has no chat template, or nothing follows the text */
export function openTemplate(
  model: LanguageModel,
  template: PromptTemplate,
  texts: readonly string[],
  pointer = '/template',
): Rendered {
  const tokenizer = requireTokenizer(model);
  if (template === 'chat' && tokenizer.chatTemplate === null) {
    throw paramError(
      'data_invalid',
      pointer,
      'the model has no chat template; give what stands before and after the text',
    );
  }
  const { context } = model.architecture;
  const encode = (text: string, at = ''): number[] => {
    const ids =
      template === 'chat'
        ? tokenizer.encode(renderChat(tokenizer, [{ role: 'user', content: text }]), { special: false })
        : tokenizer.encode(`${template.before}${text}${template.after}`);
    if (ids.length === 0) {
      throw paramError('data_invalid', at, 'the text has no tokens');
    }
    if (ids.length > context) {
      throw paramError('context_exceeded', at, `the prompt has ${ids.length} tokens, the model reads ${context}`);
    }
    return ids;
  };
  // What prompts of different texts end with is the template's, unless all texts end alike.
  const samples = texts.slice(0, SAMPLES).map((text) => encode(text));
  let common = 0;
  while (
    samples.length > 1 &&
    common < MOST &&
    samples.every((ids) => ids.length > common + 1 && ids.at(-1 - common) === samples[0]!.at(-1 - common))
  ) {
    common++;
  }
  return { encode, positions: Array.from({ length: common }, (_, i) => i - common) };
}
