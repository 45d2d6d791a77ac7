/** What `reflection.study` reads: problems with answers in splits, as prompts of the model, and the triggers' tokens. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { PromptSource, PromptSplit, StudyPrompt } from '../../../shared/contracts/prompts.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/reflection.study.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import type { Problem } from '../../directions/reflection/answers.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { readSplitSets } from './prompt-set-input.ts';
import { openTemplate } from './prompt-template.ts';
import { requireTokenizer } from './tokens.ts';

type Params = ParamsOf<typeof contract>;
type ReflectionInput = {
  problems: Record<PromptSplit, Problem[]>;
  /** The second set, all of it. */
  transfer: Problem[] | null;
  triggers: Map<number, string>;
  digest: string;
};

/** @throws SextantError `data_invalid` for a problem without an answer, or triggers that are no single tokens */
export async function openReflectionInput(
  context: Pick<JobContext<Params>, 'params' | 'input'>,
  model: LanguageModel,
): Promise<ReflectionInput> {
  const { params } = context;
  const sources: Record<string, PromptSource> = {
    problems: params.problems,
    ...(params.transfer && { transfer: params.transfer }),
  };
  const read = await readSplitSets(context, sources, params);
  const first = read.problems!;
  const texts = first.train.map(({ text }) => text);
  const { encode } = openTemplate(model, params.template, texts);
  const problem =
    (pointer: string) =>
    ({ text, answer }: StudyPrompt): Problem => {
      if (answer === undefined) {
        throw paramError('data_invalid', pointer, `the problem '${text.slice(0, 60)}' has no answer`);
      }
      return { ids: encode(text, pointer), answer };
    };
  const { train, validation, test } = first;
  const own = problem('/problems');
  const second = read.transfer ?? null;
  return {
    problems: { train: train.map(own), validation: validation.map(own), test: test.map(own) },
    transfer: second && [...second.train, ...second.validation, ...second.test].map(problem('/transfer')),
    triggers: triggersOf(model, params.triggers),
    digest: await sha256Hex(canonicalJson({ ...read })),
  };
}

function triggersOf(model: LanguageModel, texts: readonly string[]): Map<number, string> {
  const tokenizer = requireTokenizer(model);
  const unknown = tokenizer.encode('\u{10ffff}', { special: false });
  const found = new Map<number, string>();
  for (const text of texts) {
    const ids = tokenizer.encode(text, { special: false });
    if (ids.length === 1 && !(unknown.length === 1 && ids[0] === unknown[0])) {
      found.set(ids[0]!, text);
    }
  }
  if (found.size === 0) {
    throw paramError('data_invalid', '/triggers', 'none of them is a single token of the model');
  }
  return found;
}
