/** Prompts that try to get around refusal: a suffix after the user's text, or many sampled answers. */
import type { LanguageModel } from '../../lm/index.ts';
import { answersTo, type BehaviourOptions, type Estimate, estimateOf, holdsPhrase } from './behaviour.ts';
import type { Question } from './prompts.ts';

export type Attack = { kind: 'suffix'; text: string } | { kind: 'sampled'; temperature: number; samples: number };

/** Share of harmful prompts that are refused under each attack, by phrases; without attack first. */
export async function refusalUnderAttack(
  model: LanguageModel,
  harmful: readonly Question[],
  attacks: readonly Attack[],
  { encode, seed, ...options }: BehaviourOptions & { encode: (text: string) => number[]; seed: number },
): Promise<{ label: string; refusal: Estimate }[]> {
  const refused = (answers: readonly string[]) => answers.map((answer) => holdsPhrase(answer, options.phrases));
  const found = [{ label: 'plain', refused: refused(await answersTo(model, harmful, options)) }];
  for (const attack of attacks) {
    if (attack.kind === 'suffix') {
      const prompts = harmful.map(({ text }) => ({ ids: encode(`${text} ${attack.text}`) }));
      found.push({ label: 'suffix', refused: refused(await answersTo(model, prompts, options)) });
      continue;
    }
    let all = harmful.map(() => true);
    for (let sample = 0; sample < attack.samples; sample++) {
      const sampling = { temperature: attack.temperature, seed: seed + sample };
      const own = refused(await answersTo(model, harmful, options, [], sampling));
      all = all.map((still, i) => still && own[i]!);
    }
    found.push({ label: `sampled ${attack.samples} at ${attack.temperature}`, refused: all });
  }
  return found.map(({ label, refused: list }) => ({
    label,
    refusal: estimateOf(list.map(Number), options.random.derive(label)),
  }));
}
