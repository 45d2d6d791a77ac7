/** Labelled-text tasks and steering of small autoencoders, AbsTopK beside TopK, through the jobs a client would run. */
import type { LocalJobs } from '../../support/job-context.ts';
import { GENDER_STEERING, labelledTexts } from './labelled-texts.ts';
import { type Cell, cell } from './sweep-table.ts';
import { type Subject, trainAndEvaluate } from './trained.ts';

type Perturbation = { removed: number; fixed: number; original: number };
type Tasks = {
  name: string;
  texts: number;
  tested: number;
  chance: number;
  dense_accuracy: number;
  probing: { k: number; accuracy: number }[];
  tpp: Perturbation[] | null;
  scr: Perturbation[] | null;
};
type Point = { strength: number; effect: number; off_target_kl: number; perplexity: number };
type Evaluated = { variant: string; labelled: Tasks[]; steering: { frontiers: Record<string, Point[]> } };

type Scores = { task: 'TPP' | 'SCR'; removed: number; fixed: Cell; original: Cell };
export type LabelledLine = {
  name: string;
  variant: string;
  texts: number;
  tested: number;
  chance: number;
  dense: number;
  probing: { k: number; accuracy: Cell }[];
  scores: Scores[];
};
export type SteeringLine = { variant: string; direction: string; strength: number } & Record<
  'effect' | 'off_target_kl' | 'perplexity',
  Cell
>;
export type LabelledResult = { lines: LabelledLine[]; steering: SteeringLine[] };

const VARIANTS = ['abstopk', 'topk'];

export async function labelledStudy(
  jobs: LocalJobs,
  subject: Subject,
  settings: { seeds: readonly number[]; steps: number; batch: number; expansion: number; k: number },
): Promise<LabelledResult> {
  const { seeds, expansion, k } = settings;
  const { evaluated } = await trainAndEvaluate<Evaluated>(
    jobs,
    subject,
    settings,
    VARIANTS.flatMap((variant) => seeds.map((seed) => ({ variant, width: expansion * subject.width, k, seed }))),
    { tokens: 8192, loss_sequences: 0, labelled: labelledTexts(), steering: GENDER_STEERING },
  );
  const of = (variant: string) => evaluated.filter((sae) => sae.variant === variant);
  return {
    lines: evaluated[0]!.labelled.flatMap((_, set) =>
      VARIANTS.map((variant) =>
        labelledLine(
          variant,
          of(variant).map(({ labelled }) => labelled[set]!),
        ),
      ),
    ),
    steering: VARIANTS.flatMap((variant) => steeringLines(variant, of(variant))),
  };
}

function labelledLine(variant: string, runs: readonly Tasks[]): LabelledLine {
  const { name, texts, tested, chance, dense_accuracy: dense, probing } = runs[0]!;
  const scores = (task: 'TPP' | 'SCR', list: (tasks: Tasks) => Perturbation[] | null): Scores[] =>
    (list(runs[0]!) ?? []).map(({ removed }, i) => ({
      task,
      removed,
      fixed: cell(runs.map((tasks) => list(tasks)![i]!.fixed)),
      original: cell(runs.map((tasks) => list(tasks)![i]!.original)),
    }));
  return {
    name,
    variant,
    texts,
    tested,
    chance,
    dense,
    probing: probing.map(({ k }, i) => ({ k, accuracy: cell(runs.map((tasks) => tasks.probing[i]!.accuracy)) })),
    scores: [...scores('TPP', ({ tpp }) => tpp), ...scores('SCR', ({ scr }) => scr)],
  };
}

const steeringLines = (variant: string, runs: readonly Evaluated[]): SteeringLine[] =>
  Object.entries(runs[0]!.steering.frontiers).flatMap(([direction, points]) =>
    points.map(({ strength }, i): SteeringLine => {
      const at = (name: 'effect' | 'off_target_kl' | 'perplexity') =>
        cell(runs.map(({ steering }) => steering.frontiers[direction]![i]![name]));
      const [effect, off_target_kl, perplexity] = [at('effect'), at('off_target_kl'), at('perplexity')];
      return { variant, direction, strength, effect, off_target_kl, perplexity };
    }),
  );

const show = ({ mean, deviation }: Cell, digits = 3): string =>
  `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
/** Half of the 95 % interval of an accuracy on n texts, by the normal approximation. */
const half = (accuracy: number, n: number): number => 1.96 * Math.sqrt((accuracy * (1 - accuracy)) / n);

export function labelledMarkdown({ lines, steering }: LabelledResult): string {
  const ks = lines[0]!.probing.map(({ k }) => k);
  const accuracies = lines.map(
    (line) =>
      `| ${line.name} | ${line.tested} of ${line.texts} | ${line.chance.toFixed(3)} | ${line.dense.toFixed(3)} ± ${half(line.dense, line.tested).toFixed(3)} | ${line.variant} | ${line.probing.map(({ accuracy }) => show(accuracy)).join(' | ')} |`,
  );
  const scores = lines.flatMap(({ name, variant, scores: list }) =>
    list.map(
      ({ task, removed, fixed, original }) =>
        `| ${name} | ${task} | ${variant} | ${removed} | ${show(fixed)} | ${show(original)} |`,
    ),
  );
  // The two rivals do not depend on the autoencoder.
  const own = steering.filter(({ variant, direction }) => direction === 'sae_latent' || variant === VARIANTS[0]);
  const frontier = own.map(
    ({ variant, direction, strength, effect, off_target_kl, perplexity }) =>
      `| ${direction === 'sae_latent' ? `latent, ${variant}` : direction.replaceAll('_', ' ')} | ${strength} | ${show(effect)} | ${show(off_target_kl)} | ${show(perplexity, 2)} |`,
  );
  return [
    'The model is small and knows stories only: where the dense probe is near chance, the tasks measure nothing. Chance is',
    'the more frequent answer, mean over the classes against the rest; the interval of the dense probe is of 95 % over the',
    'tested texts.\n',
    `| texts | tested | chance | dense probe | code | ${ks.map((k) => `${k} latents`).join(' | ')} |`,
    `| --- | --- | --- | --- | --- | ${ks.map(() => '---').join(' | ')} |`,
    ...accuracies,
    '\nTPP and SCR, by the number of latents removed, in the sign-safe and in the original form (the same for SCR; TPP needs',
    'three classes, SCR a second attribute):\n',
    '| texts | task | code | removed | fixed | original |',
    '| --- | --- | --- | --- | --- | --- |',
    ...scores,
    '\nThe steering texts were widened from 12 to 60 a side after a first look, in which the TopK latent had an effect of +0.8; which latent is chosen is unstable. Steering from boy to girl: strength in units of the mean residual norm; effect on the log odds of she, her against he,',
    'his; Kullback-Leibler divergence (nats) and perplexity on held-out stories:\n',
    '| direction | strength | effect | off-target KL | perplexity |',
    '| --- | --- | --- | --- | --- |',
    ...frontier,
  ].join('\n');
}
