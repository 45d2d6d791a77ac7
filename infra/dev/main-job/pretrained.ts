/** The main job on a pretrained model: its own text, taken apart and steered along a difference of means. */

import type { Sextant } from '../../../edge/client/index.ts';
import { loadModel } from '../../../gpu-worker/lm/index.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import vectorsDerive from '../../../shared/jobs/vectors.derive.ts';
import { decimal, percent, table } from '../table.ts';
import { step } from './step.ts';
import { steerAndLookUp } from './vector.ts';

/** An axis that English text has, whatever the model: who the story is about. */
const AXIS = {
  name: 'she-he',
  positive: ['she', 'her', 'She', 'Her', 'girl', 'mom'],
  negative: ['he', 'his', 'He', 'him', 'boy', 'dad'],
  texts: (pronoun: 'she' | 'he'): string[] => {
    const [subject, person, name, object] =
      pronoun === 'she' ? ['She', 'girl', 'Lily', 'her'] : ['He', 'boy', 'Tim', 'his'];
    return [
      `Once upon a time, there was a little ${person} named ${name}. ${subject}`,
      `There was a ${person}. ${name} loved to play with ${object} toys. ${subject}`,
      `One day, the ${person} went to the park with ${object} friends. ${subject}`,
      `The little ${person} was happy. ${subject} smiled and ${object} mom was happy too. ${subject}`,
    ];
  },
  prompts: [
    'Once upon a time there was a child. One day',
    'The little dog and the cat were friends.',
    'It was a sunny day.',
  ],
};

export async function runPretrained(client: Sextant, alias: string, folder: string): Promise<void> {
  const opened = await loadModel(folder);
  const { architecture, tokenizer } = opened;
  const { layers, width } = architecture;
  await opened.release();
  if (!tokenizer) {
    throw new Error(`${folder} has no tokenizer.json: the main job reads and writes text`);
  }
  const single = (words: string[]): string[] =>
    words.filter((word) => [word, ` ${word}`].some((text) => tokenizer.encode(text, { special: false }).length === 1));
  const hook = `resid_post.${Math.floor((layers - 1) / 2)}`;
  const model = { local: alias };
  const corpus = { sampled: { seed: 0, temperature: 1 } };
  const context = 128;
  await step(
    client,
    activationsExtract,
    { model, hooks: [hook], corpus, context, tokens: 8192 },
    (r) => `${r.tokens} x ${r.width} values at ${hook}, mean norm ${decimal(r.hooks[hook]!.mean_norm, 2)}`,
  );
  const variants = ['abstopk', 'topk'] as const;
  const size = { width: 4 * width, k: Math.max(4, Math.round(width / 10)) };
  const { saes } = await step(
    client,
    saeTrain,
    {
      model,
      hook,
      corpus,
      context,
      saes: variants.map((variant) => ({ variant, ...size })),
      batch: 256,
      steps: 400,
      learning_rate: 0.003,
      dead_tokens: 50_000,
    },
    (r) => `${Math.round(r.tokens_per_s)} activations/s through both, the model's own text included`,
  );
  const scored = await step(
    client,
    saeEvaluate,
    { model, saes: saes.map(({ id }) => id), corpus, split: 'held_out', context, tokens: 4096 },
    (r) => `${r.tokens} held-out tokens`,
  );
  const poles = { positive: single(AXIS.positive), negative: single(AXIS.negative) };
  const derived = await step(
    client,
    vectorsDerive,
    {
      method: 'difference_in_means',
      model,
      hook,
      positions: 'last',
      positive: { label: 'she', texts: AXIS.texts('she'), tokens: poles.positive },
      negative: { label: 'he', texts: AXIS.texts('he'), tokens: poles.negative },
      prompts: AXIS.prompts,
      strengths: [0.1, 0.25, 0.5, 0.75, 1],
    },
    (r) => `calibrated strength ${r.strength}`,
  );
  const steering = await steerAndLookUp(client, {
    model,
    vector: derived.vector,
    name: `${alias}/${AXIS.name}`,
    strength: derived.strength ?? 0.5,
    positive: { label: poles.positive.join(' '), tokens: poles.positive },
    negative: { label: poles.negative.join(' '), tokens: poles.negative },
    prompts: AXIS.prompts,
  });
  const rows = scored.saes.map((sae) => [
    sae.variant,
    sae.fvu === null ? '-' : percent(sae.fvu),
    sae.l0.toFixed(1),
    percent(sae.dead_share),
    percent(sae.minority_share_05),
    percent(sae.antipodal_share),
  ]);
  console.log(`
Sparse autoencoders of ${alias} at ${hook} (${size.width} latents, ${size.k} per token):
${table(['variant', 'unexplained', 'L0', 'dead', 'both signs used', 'opposed pairs'], rows)}
${steering}
`);
}
