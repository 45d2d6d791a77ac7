/** What `lm.evaluate` measures a model on: held-out text, prompts, and what should follow them, as token ids. */
import { paramError } from '../../../shared/contracts/problem.ts';
import type { TextAccount } from '../../../shared/contracts/text-use.ts';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/lm.evaluate.ts';
import type { JobContext } from '../handler.ts';
import { openCorpus } from './corpus-input.ts';
import type { OpenedModel } from './model-input.ts';
import { predictedSequences } from './sequence-sets.ts';
import { encodeTexts, singleToken, tokenSet } from './tokens.ts';

type OpenedEvaluation = {
  /** Digest of the text; null where there is none. */
  digest: string | null;
  sequences: ArrayLike<number>[];
  /** What of the text the sequences are; null where there is none. */
  text: TextAccount | null;
  prompts: number[][];
  sets: number[][];
  answers: { token: number; other: number | null }[];
};

/** @throws SextantError as `openCorpus` and `encodeTexts`; `data_invalid` for a question without a text or prompt to ask it on */
export async function openEvaluation(
  context: JobContext<ParamsOf<typeof contract>>,
  { model, digest }: OpenedModel,
): Promise<OpenedEvaluation> {
  const { params } = context;
  const corpus = params.corpus ? await openCorpus(context, params.corpus, model, digest) : null;
  const length = Math.min(params.context, model.architecture.context);
  const { split, packing, tokens } = params;
  const { sequences, text } = corpus
    ? await predictedSequences(corpus, { split, packing, length, limit: tokens })
    : { sequences: [], text: null };
  const prompts = encodeTexts(model, params.prompts, '/prompts');
  if (params.targets.length > 0 && prompts.length === 0) {
    throw paramError('data_invalid', '/prompts', 'targets are measured after prompts, and there is none');
  }
  if (params.answers.length > 0 && params.answers.length !== prompts.length) {
    const detail = `${params.answers.length} answers to ${prompts.length} prompts; each has one`;
    throw paramError('data_invalid', '/answers', detail);
  }
  if (params.reference && sequences.length === 0) {
    throw paramError('data_invalid', '/reference', 'the divergence is taken on a corpus, and there is none');
  }
  const sets = params.targets.map(({ tokens }, i) => tokenSet(model, tokens, `/targets/${i}/tokens`));
  const answers = params.answers.map(({ token, other }, i) => ({
    token: singleToken(model, token, `/answers/${i}/token`),
    other: other === null ? null : singleToken(model, other, `/answers/${i}/other`),
  }));
  return {
    digest: corpus?.digest ?? null,
    sequences,
    text,
    prompts,
    sets,
    answers,
  };
}
