/** The main job on the embedded default: a language with known axes, learned, taken apart, and steered. */
import type { Sextant } from '../../../edge/client/index.ts';
import { AXES, announcement } from '../../../gpu-worker/lm/index.ts';
import activationsExtract from '../../../shared/jobs/activations.extract.ts';
import lmTrain from '../../../shared/jobs/lm.train.ts';
import saeEvaluate from '../../../shared/jobs/sae.evaluate.ts';
import saeTrain from '../../../shared/jobs/sae.train.ts';
import vectorsDerive from '../../../shared/jobs/vectors.derive.ts';
import { decimal, percent, table } from '../table.ts';
import { step } from './step.ts';
import { steerAndLookUp } from './vector.ts';

const CORPUS = { planted: { seed: 0 } };
/** The middle block: late enough to have read the announcements, early enough not to be all next-token logits. */
const HOOK = 'resid_post.1';
const [WIDTH, K] = [128, 8];
const CONTEXT = 48;

export async function runPlanted(client: Sextant): Promise<void> {
  const trained = await step(
    client,
    lmTrain,
    { corpus: CORPUS, context: CONTEXT, steps: 400 },
    (r) => `loss ${decimal(r.held_out_loss)} nats per token; the language itself: ${decimal(r.ideal_loss!)}`,
    { reuse: true },
  );
  const model = { id: trained.model };
  await step(
    client,
    activationsExtract,
    { model, hooks: [HOOK], corpus: CORPUS, split: 'train', context: CONTEXT, tokens: 16_384 },
    (r) => `${r.tokens} x ${r.width} values, mean norm ${decimal(r.hooks[HOOK]!.mean_norm, 2)}`,
  );
  const variants = ['abstopk', 'topk'] as const;
  const { saes } = await step(
    client,
    saeTrain,
    {
      model,
      hook: HOOK,
      corpus: CORPUS,
      context: CONTEXT,
      saes: variants.map((variant) => ({ variant, width: WIDTH, k: K })),
      batch: 512,
      steps: 1500,
      learning_rate: 0.004,
      dead_tokens: 20_000,
    },
    (r) => `${Math.round(r.tokens_per_s)} activations/s through both`,
  );
  const [abs, top] = variants.map((variant) => saes.find((sae) => sae.variant === variant)!) as [
    (typeof saes)[0],
    (typeof saes)[0],
  ];
  const scored = await step(
    client,
    saeEvaluate,
    { model, saes: [abs.id, top.id], corpus: CORPUS, split: 'held_out', context: CONTEXT },
    (r) => `${r.tokens} held-out tokens`,
  );
  const [absScore, topScore] = [abs, top].map(({ id }) => scored.saes.find((sae) => sae.id === id)!) as [
    (typeof scored.saes)[0],
    (typeof scored.saes)[0],
  ];

  const axis = AXES[0]!;
  const score = absScore.axes.find((entry) => entry.axis === axis.name)!;
  const poles = {
    positive: { label: axis.positive[0]!, tokens: [...axis.positive] },
    negative: { label: axis.negative[0]!, tokens: [...axis.negative] },
  };
  const prompts = neutralPrompts();
  const derived = await step(
    client,
    vectorsDerive,
    {
      method: 'sae_latent',
      model,
      sae: abs.id,
      latent: score.latent,
      sign: score.correlation >= 0 ? 1 : -1,
      hook: HOOK,
      ...poles,
      prompts,
      strengths: [0.1, 0.2, 0.3, 0.4, 0.6, 0.8],
    },
    (r) => `latent ${score.latent} of the AbsTopK SAE, calibrated strength ${r.strength}`,
  );
  const steering = await steerAndLookUp(client, {
    model,
    vector: derived.vector,
    name: `planted/${axis.name}`,
    strength: derived.strength ?? 0.4,
    positive: { label: `${axis.positive.join(' ')}`, tokens: [...axis.positive] },
    negative: { label: `${axis.negative.join(' ')}`, tokens: [...axis.negative] },
    prompts,
  });

  const rows = absScore.axes.map((entry, i) => {
    const other = topScore.axes[i]!;
    const both = (one: typeof entry): string => (one.signed ? (one.both_poles ? 'yes' : 'no') : '');
    return [
      `${entry.axis}${entry.signed ? ' (two poles)' : ''}`,
      decimal(Math.abs(entry.correlation)),
      both(entry),
      decimal(Math.abs(other.correlation)),
      both(other),
    ];
  });
  rows.push(['dead latents', percent(abs.dead_share), '', percent(top.dead_share), '']);
  console.log(`
How well one latent follows each axis of the language (|correlation|, 1 is perfect),
whether that same latent carries both poles of a two-pole axis, and how many latents are dead:
${table(['axis', 'AbsTopK', 'both poles', 'TopK', 'both poles'], rows)}
  both: ${WIDTH} latents, ${K} per token; variance unexplained ${percent(absScore.fvu!)} (AbsTopK), ${percent(topScore.fvu!)} (TopK)
${steering}
`);
}

/** Beginnings in which every axis is at rest. */
const neutralPrompts = (): string[] => {
  const header = AXES.map((axis) => announcement(axis, 0)).join(' ');
  const links = ['the', 'and', 'with the', 'of a', 'in the', 'so then'];
  return links.map((text) => `${header} ${text}`);
};
