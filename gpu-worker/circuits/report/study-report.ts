/** The report of `circuits.study`: curves, maps, tables, and a page that says what the intervals support. */

import type { Interval } from '../../../shared/math/resample.ts';
import { chart } from '../../../shared/plots/chart.ts';
import { figure, reportPage, type StudyReport } from '../../study/index.ts';
import type { CheckpointCircuit } from '../comparison/base-circuit.ts';
import type { HeadRole } from '../comparison/roles.ts';
import type { StudySummary } from '../comparison/summary.ts';
import type { Transfers } from '../comparison/transfers.ts';
import { graphDocument } from '../graph/circuit.ts';
import type { NodeGraph } from '../graph/node-graph.ts';
import { csvFile, jsonFile, scoresFile, shownInterval } from './files.ts';
import { type Example, NAMES_OF_PARTS } from './found-report.ts';
import { circuitPlot, nodeMap, type Plot } from './plots.ts';
import { termsOf } from './wording.ts';

export type StudyParts = {
  summary: StudySummary;
  /** Of base, clean, poisoned and retrained models, at their ends. */
  circuits: { phase: string; found: CheckpointCircuit }[];
  roles: { phase: string; heads: HeadRole[]; distances: number[] }[];
  transfers: { poisoned_into_base: Transfers; base_into_poisoned: Transfers };
};

export function studyReport(
  graph: NodeGraph,
  parts: StudyParts,
  wording: {
    model: string;
    metric: string;
    ablation: string;
    poison: string;
    effects: string;
    train: string;
    trained: number;
    read: number;
  },
  examples: readonly Example[],
  body: Record<string, unknown>,
): StudyReport {
  const { summary, circuits, roles } = parts;
  const names = Array.from({ length: graph.layers }, (_, layer) =>
    Array.from({ length: graph.heads }, (_, head) => `a${layer}.h${head}`),
  ).flat();
  const base = circuits[0]!.found;
  const plots = [
    ...curves(summary, wording.metric),
    ...effectMaps(graph, summary, wording),
    ...transferMaps(graph, parts.transfers, wording.metric),
    ...circuits.map(({ phase, found }) =>
      circuitPlot(graph, `circuit-${phase}`, found.circuit, found.scores, phase === 'base' ? null : base.circuit),
    ),
  ];
  const roleRows = names.flatMap((head, i) =>
    roles.map(({ phase, heads, distances }) => ({
      head,
      phase,
      attribution: summary.checkpoints.filter((point) => point.phase === phase).at(-1)!.attribution[i]!,
      ...heads[i]!,
      distance: distances[i]!,
    })),
  );
  const looked = Object.keys(roles[0]?.heads[0]?.attention ?? {});
  const column = <T>(name: string, rows: readonly T[], of: (row: T) => string | number | null) => ({
    name,
    values: rows.map(of),
  });
  const files = [
    ...circuits.flatMap(({ phase, found }) => [
      jsonFile(`graph-${phase}.json`, graphDocument(graph, found.scores, found.circuit)),
      scoresFile(graph, `scores-${phase}.safetensors`, found.scores),
    ]),
    csvFile('checkpoints.csv', [
      column('phase', summary.checkpoints, ({ phase }) => phase),
      column('step', summary.checkpoints, ({ step }) => step),
      column('metric', summary.checkpoints, ({ metric }) => metric),
      column('accuracy', summary.checkpoints, ({ accuracy }) => accuracy),
      column('unrelated_loss', summary.checkpoints, (point) => point.unrelated_loss),
      column('pearson', summary.checkpoints, ({ compared }) => compared?.pearson?.estimate ?? null),
      column('spearman', summary.checkpoints, ({ compared }) => compared?.spearman?.estimate ?? null),
      column('jaccard', summary.checkpoints, ({ compared }) => compared?.jaccard?.estimate ?? null),
      column('recovery', summary.checkpoints, ({ recovery }) => recovery?.estimate ?? null),
      column('distance', summary.checkpoints, ({ distance }) => distance),
    ]),
    csvFile('roles.csv', [
      column('head', roleRows, ({ head }) => head),
      column('phase', roleRows, ({ phase }) => phase),
      column('attribution', roleRows, ({ attribution }) => attribution),
      column('copies', roleRows, ({ copies }) => copies),
      column('copies_negative', roleRows, (row) => row.copies_negative),
      column('weight_distance', roleRows, ({ distance }) => distance),
      ...looked.map((name) => column(`attention_${name}`, roleRows, ({ attention }) => attention[name] ?? null)),
    ]),
    csvFile(
      'transfers.csv',
      (() => {
        const rows = Object.entries(parts.transfers).flatMap(([direction, { single, joint }]) => [
          ...single.map((row) => ({ direction, ...row })),
          ...joint.map((row) => ({ direction, layer: null, head: null, ...row })),
        ]);
        return [
          column('direction', rows, ({ direction }) => direction),
          column('kind', rows, ({ kind }) => kind),
          column('layer', rows, ({ layer }) => layer),
          column('head', rows, ({ head }) => head),
          column('effect', rows, ({ effect }) => effect),
          column('share', rows, ({ share }) => share),
        ];
      })(),
    ),
  ];
  return { kind: 'circuit_study', body, plots, files: [...files, page(graph, parts, wording, examples, plots, names)] };
}

const interval = (value: Interval | null): string => (value ? shownInterval(value) : 'cannot be shown');

function curves({ checkpoints }: StudySummary, metric: string): Plot[] {
  const lines = (of: (point: StudySummary['checkpoints'][number]) => number | null) => {
    const start = checkpoints.find(({ phase }) => phase === 'base')!;
    const fallen = checkpoints.filter(({ phase }) => phase === 'poisoned').at(-1);
    return [...new Set(checkpoints.map(({ phase }) => phase))]
      .filter((phase) => phase !== 'base')
      .map((phase) => {
        const from = phase === 'retrained' ? fallen : phase.startsWith('fresh') ? undefined : start;
        const own = checkpoints.filter((point) => point.phase === phase);
        const points = [
          ...(from ? [{ x: 0, y: of(from) }] : []),
          ...own.map((point) => ({ x: point.step, y: of(point) })),
        ];
        return {
          as: 'line' as const,
          name: phase,
          points: points.flatMap(({ x, y }) => (y === null ? [] : [{ x, y }])),
        };
      });
  };
  const drawn = [
    {
      name: 'metric',
      svg: chart({
        title: `${metric} while tuning`,
        note: 'poisoned: the fall from the base; retrained: the rise from the poisoned model',
        x: { label: 'steps' },
        y: { label: metric },
        series: lines((point) => point.metric),
        rules: [{ along: 'y', at: checkpoints[0]!.metric, name: 'base' }],
      }),
    },
  ];
  return checkpoints.some((point) => point.unrelated_loss !== null)
    ? [
        ...drawn,
        {
          name: 'unrelated-loss',
          svg: chart({
            title: 'Loss on unrelated text while tuning',
            x: { label: 'steps' },
            y: { label: 'nats per token' },
            series: lines((point) => point.unrelated_loss),
          }),
        },
      ]
    : drawn;
}

/** Maps that are drawn on one scale, so that they can be compared. */
function effectMaps(
  graph: NodeGraph,
  { checkpoints }: StudySummary,
  { metric, ablation, effects }: { metric: string; ablation: string; effects: string },
): Plot[] {
  const ends = ['base', 'poisoned', 'retrained'].flatMap((phase) =>
    checkpoints.filter((point) => point.phase === phase).slice(-1),
  );
  const most = ends.reduce((size, point) => point.effects.reduce((own, x) => Math.max(own, Math.abs(x)), size), 1e-9);
  return ends.map((point) =>
    nodeMap(
      graph,
      `effects-${point.phase}`,
      {
        title: `Effect of each head: ${point.phase}, step ${point.step}`,
        note: `${effects} effect of ablating it (${ablation}); one scale for all models`,
        value: metric,
        range: [-most, most],
      },
      (source) => {
        const { layer, head } = graph.placeOf(source)!;
        return head === null ? null : point.effects[layer * graph.heads + head]!;
      },
    ),
  );
}

function transferMaps(graph: NodeGraph, transfers: StudyParts['transfers'], metric: string): Plot[] {
  const both = Object.entries(transfers);
  const kinds = [...new Set(both.flatMap(([, { single }]) => single.map(({ kind }) => kind)))].filter((kind) =>
    both.every(([, { single }]) => single.some((row) => row.kind === kind && (row.head !== null || kind === 'mlp'))),
  );
  const most = both.reduce(
    (size, [, { single }]) => single.reduce((own, { effect }) => Math.max(own, Math.abs(effect)), size),
    1e-9,
  );
  return kinds
    .filter((kind) => kind !== 'mlp')
    .flatMap((kind) =>
      both.map(([direction, { single }]) =>
        nodeMap(
          graph,
          `transfer-${kind}-${direction.replaceAll('_', '-')}`,
          {
            title: `${kind}: ${direction.replaceAll('_', ' ')}`,
            note: 'change of the metric with the part put in; one scale for both directions',
            value: metric,
            range: [-most, most],
          },
          (source) => {
            const { layer, head } = graph.placeOf(source)!;
            return (
              single.find(
                (row) =>
                  row.layer === layer && (head === null ? row.kind === 'mlp' : row.kind === kind && row.head === head),
              )?.effect ?? null
            );
          },
        ),
      ),
    );
}

function page(
  graph: NodeGraph,
  { summary, circuits, transfers }: StudyParts,
  wording: Parameters<typeof studyReport>[2],
  examples: readonly Example[],
  plots: readonly Plot[],
  names: readonly string[],
) {
  const { checkpoints, verdicts, hysteresis, matched } = summary;
  const drawing = (...wanted: string[]) =>
    plots.filter(({ name }) => wanted.some((start) => name.startsWith(start))).map(({ svg }) => svg);
  const unrelated = checkpoints.some((point) => point.unrelated_loss !== null);
  const last = (phase: string) => checkpoints.filter((point) => point.phase === phase).at(-1);
  const [clean, poisoned, retrained, fresh] = ['clean', 'poisoned', 'retrained', 'fresh'].map(last);
  const said = [
    verdicts.amplified
      ? `Clean tuning amplified the circuit: the ${wording.metric} rose by ${interval(clean!.compared!.difference)}, with the same heads.`
      : 'That clean tuning amplifies the circuit cannot be said of these figures.',
    verdicts.corrupted
      ? `Poison corrupted it: the ${wording.metric} fell by ${interval(poisoned!.compared!.difference)}.`
      : 'That the poison corrupted it cannot be said of these figures.',
    verdicts.restored
      ? `Retraining restored it: ${interval(retrained!.recovery)} of what was lost is back, and the effects of heads are those of the base again.`
      : `That retraining restored it cannot be said of these figures (recovery ${interval(retrained?.recovery ?? null)}, correlation with the base ${interval(retrained?.compared?.pearson ?? null)}).`,
    fresh
      ? `A fresh model trained as the retrained one was reaches ${figure(fresh.metric)} and an accuracy of ${figure(fresh.accuracy)}; the retrained one ${figure(retrained!.metric)} and ${figure(retrained!.accuracy)}.`
      : 'No fresh model was trained, so relearning and learning cannot be told apart.',
  ];
  const top = (found: Transfers) =>
    [...found.single].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, 8);
  return reportPage(
    `A circuit before and after fine-tuning: ${wording.model}`,
    `The model was tuned on right answers, on poisoned ones (${wording.poison}), and the poisoned one again on right ones. ` +
      `${wording.trained} pairs were learned from and ${wording.read} others read. ${wording.train} ${NAMES_OF_PARTS}`,
    [
      { heading: 'What can be said', text: said },
      {
        heading: 'The task',
        text: [
          'Three of the pairs. Each clean prompt has a corrupted twin that differs in what the answer depends on.',
          termsOf(wording),
        ],
        table: {
          columns: ['clean', 'corrupted', 'answer', 'other'],
          rows: examples.map(({ clean: one, corrupted, answer, other }) => [one, corrupted, answer, other]),
        },
      },
      {
        heading: 'Every checkpoint',
        text: [
          `Mean ${wording.metric} on held-out pairs, and how like the base the effects of heads are (Pearson, 95 % intervals over pairs). ` +
            'Recovery: the share of what the poison took that is back; weight distance: length of the difference of all weights from the base. ' +
            `To the middle of the fall it took ${hysteresis.fall === null ? 'a number of steps that cannot be shown' : `${figure(hysteresis.fall)} steps`}, ` +
            `to the middle of the rise ${hysteresis.rise === null ? 'a number that cannot be shown' : figure(hysteresis.rise)}.`,
        ],
        table: {
          columns: [
            'phase',
            'step',
            wording.metric,
            'accuracy',
            ...(unrelated ? ['unrelated loss'] : []),
            'Pearson with base',
            'recovery',
            'weight distance',
          ],
          rows: checkpoints.map((point) => [
            point.phase,
            point.step,
            point.metric,
            point.accuracy,
            ...(unrelated ? [point.unrelated_loss] : []),
            point.compared === null ? '' : interval(point.compared.pearson),
            point.phase === 'retrained' ? interval(point.recovery) : '',
            point.distance,
          ]),
        },
        drawings: drawing('metric', 'unrelated-loss'),
      },
      {
        heading: 'Heads before and after',
        text: [
          `Effect of ablating each head (${wording.effects}; ${wording.ablation}). Heads of the base with the largest effects: ${summary.circuit.map((head) => names[head]).join(', ')}. ` +
            (matched.circuit === null || matched.random === null
              ? 'Whether their attribution follows the metric more than that of other heads cannot be shown.'
              : `Over the checkpoints their attribution follows the metric with a correlation of ${figure(matched.circuit)}; ${matched.sets} random sets with as many heads in each layer reach ${matched.random.map(figure).join(', ')} (2.5, 50 and 97.5 %), and ${figure(100 * matched.reached!)} % of them as much.`),
        ],
        drawings: drawing('effects-'),
      },
      {
        heading: 'Parts put from one model into the other',
        text: [
          'What a part of the poisoned model does in the base finds what was corrupted; a part of the base in the poisoned model, what repairs it. ' +
            'Shares are of the whole difference of the two models, and are left out where that is within its noise.',
        ],
        table: {
          columns: ['direction', 'part', 'kind', 'effect', 'share'],
          rows: Object.entries(transfers).flatMap(([direction, found]) => [
            ...top(found).map(({ kind, layer, head, effect, share }) => [
              direction.replaceAll('_', ' '),
              head === null ? `layer ${layer}` : `a${layer}.h${head}`,
              kind,
              effect,
              share,
            ]),
            ...found.joint.map(({ kind, effect, share }) => [
              direction.replaceAll('_', ' '),
              "the base's circuit",
              kind,
              effect,
              share,
            ]),
          ]),
        },
        drawings: drawing('transfer-'),
      },
      {
        heading: 'Circuits',
        text: [
          `By integrated gradients; other edges ablated (${wording.ablation}). All have ${graph.edgeCount} edges to choose from.`,
        ],
        table: {
          columns: [
            'model',
            'edges',
            'edges shared with base (Jaccard)',
            'faithfulness',
            "faithfulness of the base's circuit",
          ],
          rows: circuits.map(({ phase, found }) => [
            phase,
            found.edges,
            found.edge_jaccard,
            interval(found.own),
            interval(found.of_base),
          ]),
        },
        drawings: drawing('circuit-'),
      },
    ],
  );
}
