/** The page of the study's results, and what it says of them. */
import type { PlantedFound } from './planted.ts';
import type { Found, Tuned } from './real-models.ts';
import type { ToyResult } from './toys.ts';

const figure = (value: number | null | undefined, digits = 3): string =>
  value === null || value === undefined ? '–' : Number(value.toPrecision(digits)).toString();
const table = (columns: readonly string[], rows: readonly (readonly string[])[]): string =>
  [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

type Results = { planted: PlantedFound[]; toys: ToyResult[]; real: Found[]; poison: Tuned[] };

export function circuitsPage({ planted, toys, real, poison }: Results): string {
  return [
    '# Circuits before and after fine-tuning',
    '',
    'Made by `npm run study -- circuits` (parts `planted`, `toys`, `real`, `poison`; `--seeds 0,1,2`); processor, float32. Effects are changes of',
    'the mean logit difference F with one node corrupted; negative supports the answer.',
    '',
    ...(real.length > 0 ? realTables(real) : []),
    ...(poison.length > 0 ? poisonTable(poison) : []),
    ...(planted.length > 0 ? plantedTable(planted) : []),
    ...(toys.length > 0 ? toyTables(toys) : []),
  ].join('\n');
}

function realTables(real: readonly Found[]): string[] {
  return [
    '## Real models',
    '',
    'She or He after a name in the story models (120 pairs, with the beginning-of-sequence token), the smallest of six digits in the',
    'sorting model. Heads by exact patching with 95 % intervals over pairs; Pearson of first-order scores of all heads with it; the',
    'circuit by integrated gradients with a tenth of the edges, the others patched.',
    '',
    table(
      [
        'model',
        'F',
        'pairwise accuracy',
        'largest heads',
        'EAP',
        'EAP-IG',
        'edges',
        'faithfulness',
        'area',
        'distance',
      ],
      real.map((found) => [
        found.model,
        figure(found.F),
        figure(found.pairwise),
        found.heads
          .slice(0, 4)
          .map(({ node, effect, low, high }) => `${node} ${figure(effect)} [${figure(low)}, ${figure(high)}]`)
          .join('; '),
        figure(found.pearson.eap, 4),
        figure(found.pearson.eap_ig, 4),
        `${found.edges} of ${found.all_edges}`,
        figure(found.faithfulness),
        figure(found.area),
        figure(found.distance),
      ]),
    ),
    '',
  ];
}

function plantedTable(planted: readonly PlantedFound[]): string[] {
  return [
    '## A planted circuit',
    '',
    'Weights set by hand: a head that looks one token back, an induction head, and an MLP that gates; five edges. As many edges as were',
    'planted, by the size of their scores; ACDC at a tenth of F.',
    '',
    table(
      ['model', 'method', 'precision', 'recall', 'missed'],
      planted.map(({ size, method, precision, recall, missed }) => [
        size,
        method,
        figure(precision),
        figure(recall),
        missed.map((name) => `\`${name}\``).join(', ') || 'none',
      ]),
    ),
    '',
  ];
}

/** What the runs with replay, or those without, have in common. */
function inWords(runs: readonly Tuned[]): string[] {
  const [first] = runs;
  if (!first) {
    return [];
  }
  const ends = (phase: string, of: 'F' | 'loss') => {
    const values = runs.map(({ points }) => points.filter((point) => point.phase === phase).at(-1)?.[of] ?? Number.NaN);
    return values.map((value) => figure(value)).join(', ');
  };
  const restored = runs.filter(({ verdicts }) => verdicts.restored).length;
  return [
    `${first.replay ? 'With' : 'Without'} replay (${runs.length === 1 ? 'one seed' : `${runs.length} seeds`}): F goes from ${ends('base', 'F')} to ` +
      `${ends('poisoned', 'F')} and back to ${ends('retrained', 'F')}; the loss on stories from ${ends('base', 'loss')} to ` +
      `${ends('poisoned', 'loss')} and ${ends('retrained', 'loss')}. The circuit is restored in ${restored} of ${runs.length}.`,
    '',
  ];
}

function poisonTable(poison: readonly Tuned[]): string[] {
  const runs = [...poison].sort((a, b) => Number(a.replay) - Number(b.replay) || a.seed - b.seed);
  return [
    '## Swapped answers in stories260K',
    '',
    'Attention alone learns, 120 steps of 16 prompts at 5e-4, a third of the templates held out: answers swapped, then right ones again;',
    'with replay half of the rows are stories. Loss on 40 other stories, nats per token; 4.2 is the effect of that head; r the Pearson',
    'correlation of the effects of heads with the base.',
    '',
    ...[false, true].flatMap((replay) => inWords(runs.filter((run) => run.replay === replay))),
    table(
      ['replay', 'seed', 'phase', 'step', 'F', 'loss', '4.2', 'r', 'words that the intervals support'],
      runs.flatMap(({ replay, seed, points, verdicts }) =>
        points.map(({ phase, step, F, loss, head, pearson }, i) => [
          replay ? 'half' : 'none',
          String(seed),
          phase,
          String(step),
          figure(F),
          figure(loss),
          figure(head),
          figure(pearson),
          i === points.length - 1
            ? Object.keys(verdicts)
                .filter((word) => verdicts[word])
                .join(', ') || 'none'
            : '',
        ]),
      ),
    ),
    '',
  ];
}

function toyTables(toys: readonly ToyResult[]): string[] {
  const runs = [...toys].sort((a, b) => a.model.localeCompare(b.model) || a.seed - b.seed);
  const models = [...new Set(runs.map(({ model }) => model))];
  return [
    '## Toys',
    '',
    'Indirect objects in four templates and repeated sequences (vocabulary 56). Model 1 has MLPs and learns in all weights; model 2 has',
    'attention alone, which alone is poisoned and retrained. 256 held-out prompts; poison 5e-4, batches of 64.',
    '',
    ...models.flatMap((model) => {
      const own = runs.filter((run) => run.model === model);
      return [
        `### ${model[0]!.toUpperCase()}${model.slice(1)}`,
        '',
        table(
          ['gate', 'wanted', ...own.map(({ seed }) => `seed ${seed}`)],
          own[0]!.gates.map(({ name, wanted }) => [
            name,
            wanted,
            ...own.map(({ gates }) => {
              const gate = gates.find((one) => one.name === name)!;
              return `${figure(gate.value)}${gate.ok ? '' : ' **missed**'}`;
            }),
          ]),
        ),
        '',
        table(
          ['checkpoint', 'seed', 'F', 'accuracy', 'copy', 'r with base', 'top-6 Jaccard', 'weight distance'],
          own.flatMap(({ seed, readings }) =>
            Object.entries(readings).map(([name, one]) => [
              name,
              String(seed),
              figure(one.F),
              figure(one.accuracy),
              figure(one.copy),
              figure(one.pearson),
              figure(one.jaccard),
              figure(one.distance),
            ]),
          ),
        ),
        '',
        'Parts put from one model into the other, the largest (reported without a mark):',
        '',
        table(
          ['seed', 'direction', 'part', 'effect', 'share'],
          own.flatMap(({ seed, transfers }) =>
            transfers.map(({ direction, part, effect, share }) => [
              String(seed),
              direction,
              part,
              figure(effect),
              figure(share),
            ]),
          ),
        ),
        '',
      ];
    }),
  ];
}
