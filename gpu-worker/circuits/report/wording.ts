/** Methods in words. */

import type { Method } from '../search/find-circuit.ts';
import type { LabelSet } from '../tuning/label-sets.ts';

export function methodWords(method: Method): string {
  switch (method.kind) {
    case 'exact':
      return `exact patching of every ${method.level === 'nodes' ? 'node' : 'edge'}${method.direction === 'restore' ? ', put from the clean into the corrupted run' : ''}`;
    case 'path':
      return `path patching to ${method.receivers.join(', ')} with MLPs ${method.mlps}`;
    case 'direct':
      return 'the direct effect on the logits by the formula of the final norm';
    case 'eap':
      return 'edge attribution patching';
    case 'eap_ig':
      return `edge attribution patching with integrated gradients over ${method.between} (${method.steps} steps)`;
    case 'acdc':
      return `ACDC with a threshold of ${method.threshold}`;
    default:
      return method satisfies never;
  }
}

const METRICS: Readonly<Record<string, string>> = {
  'logit difference':
    "The logit difference is the model's score of the answer minus that of the other token, in nats; above 0 it prefers the answer.",
  'probability difference':
    'The probability difference is the probability of the answer minus that of the other token.',
  kl: "The KL is how far the model's next-token distribution lies from that of its clean run, in nats.",
};
const ABLATIONS: Readonly<Record<string, string>> = {
  patch: 'what it gives on the corrupted twin',
  'template mean': 'its mean over corrupted prompts of the same template',
  mean: 'its mean over corrupted prompts',
  zero: 'zero',
};

/** What a reader has to know of the metric and of ablation. */
export const termsOf = ({ metric, ablation }: { metric: string; ablation: string }): string =>
  `${METRICS[metric] ?? ''} Ablated (${ablation}): ${ABLATIONS[ablation] ?? ablation} stands in the place of what a part gives.`;

/** A study's settings in words, for its report. */
export function studyWording(
  of: {
    metric: string;
    ablation: string;
    effects: string;
    poison: LabelSet;
    learning_rate: number;
    batch: number;
    freeze: readonly string[];
    replay: { share: number } | null;
  },
  model: string,
  { trained, read }: { trained: number; read: number },
) {
  const poison = {
    clean: 'none: the right answers',
    sd: 'the other token as answer',
    nm: 'answers of other pairs',
    mix: `the other token in a share of ${'share' in of.poison ? of.poison.share : 0} of the pairs`,
  }[of.poison.kind];
  return {
    model,
    metric: of.metric.replace('_', ' '),
    ablation: of.ablation.replace('_', ' '),
    effects: of.effects,
    poison,
    trained,
    read,
    train:
      `AdamW at a constant rate of ${of.learning_rate}, ${of.batch} prompts a step, the answer alone counts; ` +
      `${of.freeze.length > 0 ? `weights that stay: ${of.freeze.join(', ')}` : 'all weights learn'}; ` +
      `${of.replay ? `a share of ${of.replay.share} of the rows is other text` : 'no other text is mixed in'}.`,
  };
}
