/** A judging model's word on whether a text reflects, beside the keywords'. */
import { type LanguageModel, tokenSetProbability } from '../../lm/index.ts';
import { lastLogits } from '../rows.ts';

export type Agreement = { texts: number; judged: number; keyword: number; agreement: number };

/** @param prompts what the judge is asked about each text; it answers by the more likely of two tokens */
export async function judgeAgreement(
  judge: LanguageModel,
  prompts: readonly (readonly number[])[],
  keyword: readonly boolean[],
  { yes, no }: { yes: number; no: number },
): Promise<Agreement> {
  const { vocabulary } = judge.architecture;
  const logits = await lastLogits(
    judge,
    prompts.map((ids) => ({ ids })),
  );
  const [up, down] = [tokenSetProbability(logits, vocabulary, [yes]), tokenSetProbability(logits, vocabulary, [no])];
  const judged = Array.from(up, (p, i) => p > down[i]!);
  const share = (list: readonly boolean[]) => list.filter(Boolean).length / list.length;
  return {
    texts: prompts.length,
    judged: share(judged),
    keyword: share(keyword),
    agreement: share(judged.map((value, i) => value === keyword[i])),
  };
}
