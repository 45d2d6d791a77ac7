/** A judging model that params refer to, asked about answers. */
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import type contract from '../../../shared/jobs/reflection.study.ts';
import type { Answer, Measured } from '../../directions/reflection/answers.ts';
import { type Agreement, judgeAgreement } from '../../directions/reflection/judge.ts';
import type { JobContext } from '../handler.ts';
import { openModel } from './model-input.ts';
import { requireTokenizer, singleToken } from './tokens.ts';

type Judge = NonNullable<ParamsOf<typeof contract>['judge']>;

/** @throws SextantError `data_invalid` where yes or no is no single token of the judge, `context_exceeded` */
export async function judged(
  context: Pick<JobContext<unknown>, 'configuration' | 'input' | 'scratch' | 'describeModel'>,
  { model: reference, before, after, yes, no, texts }: Judge,
  { answers, measured }: { answers: readonly Answer[]; measured: Measured },
): Promise<Agreement> {
  const { model } = await openModel(context, reference);
  try {
    const tokenizer = requireTokenizer(model);
    const some = answers.slice(0, texts);
    const prompts = some.map(({ text }) => tokenizer.encode(`${before}${text}${after}`));
    const keyword = some.map((_, i) => measured.reflects[i] === 1);
    return await judgeAgreement(model, prompts, keyword, {
      yes: singleToken(model, yes, '/judge/yes'),
      no: singleToken(model, no, '/judge/no'),
    });
  } finally {
    await model.release();
  }
}
