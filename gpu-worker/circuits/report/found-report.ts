/** The report of `circuits.find`: tables, scores, the graph, pictures and a page. */
import { figure, reportPage, type StudyReport } from '../../study/index.ts';
import type { BesideBase } from '../comparison/base-circuit.ts';
import { type Circuit, graphDocument } from '../graph/circuit.ts';
import type { NodeGraph } from '../graph/node-graph.ts';
import type { FoundCircuit } from '../search/find-circuit.ts';
import { csvFile, jsonFile, scoresFile, shownInterval } from './files.ts';
import { circuitPlot, curvePlot, nodeMap } from './plots.ts';
import { termsOf } from './wording.ts';

/** What a figure was measured by, in words. */
type Wording = { model: string; metric: string; method: string; ablation: string; positions: string };
/** What a reader has to know of the names of nodes. */
export const NAMES_OF_PARTS =
  'Layers and heads count from 0: a4.h2 is head 2 of the attention in layer 4, m3 the MLP of layer 3, input the embedded tokens.';
/** A pair as a reader takes it in. */
export type Example = { clean: string; corrupted: string; answer: string; other: string };

export function foundReport(
  graph: NodeGraph,
  found: FoundCircuit,
  wording: Wording,
  examples: readonly Example[],
  base: ({ circuit: Circuit } & BesideBase) | null,
  body: Record<string, unknown>,
): StudyReport {
  const { effects, scores, circuit, curve, faithfulness, task, checks } = found;
  // A method that scores nodes gives an edge the effect of its source.
  const byNode = new Map(effects?.map(({ node, effect }) => [graph.source(node), effect]));
  const shown = scores ?? edgeScoresOf(graph, byNode);
  const plots = [
    ...(effects
      ? [
          nodeMap(
            graph,
            'effects',
            {
              title: `Effect of each node on the ${wording.metric}`,
              note: `${wording.method}; ablation by ${wording.ablation}; ${task.pairs} pairs`,
              value: wording.metric,
            },
            (source) => byNode.get(source) ?? null,
          ),
        ]
      : []),
    circuitPlot(graph, 'circuit', circuit, shown, base?.circuit),
    ...(curve ? [curvePlot(curve, wording.ablation)] : []),
  ];
  const edges = [...graph.edges()];
  const files = [
    jsonFile('graph.json', graphDocument(graph, shown, circuit)),
    scoresFile(graph, 'scores.safetensors', shown),
    csvFile('edges.csv', [
      { name: 'edge', values: edges.map((edge) => graph.name(edge)) },
      { name: 'score', values: edges.map((edge) => shown[graph.at(edge)]!) },
      { name: 'in_circuit', values: edges.map((edge) => circuit[graph.at(edge)]!) },
    ]),
    ...(effects
      ? [
          csvFile('nodes.csv', [
            { name: 'node', values: effects.map(({ node }) => node) },
            { name: 'effect', values: effects.map(({ effect }) => effect) },
            { name: 'low', values: effects.map(({ low }) => low) },
            { name: 'high', values: effects.map(({ high }) => high) },
          ]),
        ]
      : []),
    ...(curve
      ? [
          csvFile('faithfulness.csv', [
            { name: 'share', values: curve.points.map(({ share }) => share) },
            { name: 'edges', values: curve.points.map((point) => point.edges) },
            { name: 'faithfulness', values: curve.points.map(({ normalized }) => normalized?.estimate ?? null) },
            { name: 'low', values: curve.points.map(({ normalized }) => normalized?.low ?? null) },
            { name: 'high', values: curve.points.map(({ normalized }) => normalized?.high ?? null) },
          ]),
        ]
      : []),
  ];
  const largest = [...(effects ?? [])].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, 20);
  const { normalized } = faithfulness;
  const page = reportPage(
    `A circuit of ${wording.model}`,
    `Which heads and MLPs of the model carry a task was found by ${wording.method}. Each prompt has a corrupted twin that differs ` +
      'in what the answer depends on; a part matters where putting what it gives on the twin in its place changes the answer. ' +
      NAMES_OF_PARTS,
    [
      {
        heading: 'The task',
        text: [
          `${task.pairs} pairs of prompts. The metric is the ${wording.metric} at the last position: ` +
            `${shownInterval(task.clean)} on the clean prompts, ${shownInterval(task.corrupted)} on the corrupted ones ` +
            '(mean and 95 % interval over pairs). ' +
            `The answer is likelier than the other in ${figure(100 * task.pairwise_accuracy)} % of the clean prompts, and the most ` +
            `likely of all tokens in ${figure(100 * task.accuracy)} %.`,
          termsOf(wording),
        ],
        table: {
          columns: ['clean', 'corrupted', 'answer', 'other'],
          rows: examples.map(({ clean, corrupted, answer, other }) => [clean, corrupted, answer, other]),
        },
      },
      ...(effects
        ? [
            {
              heading: 'What each node does',
              text: [
                `Change of the mean ${wording.metric} with the node ablated (${wording.ablation}) at ${wording.positions}. ` +
                  'Negative: the node supports the answer.',
              ],
              table: {
                columns: ['node', 'effect', '95 % interval'],
                rows: largest.map(({ node, effect, low, high }) => [
                  node,
                  effect,
                  low === null || high === null ? '' : `${figure(low)} to ${figure(high)}`,
                ]),
              },
              drawings: [plots[0]!.svg],
            },
          ]
        : []),
      {
        heading: 'The circuit',
        text: [
          `${found.edges} of ${graph.edgeCount} edges between ${found.nodes.length} nodes. Alone, with every other edge ` +
            `ablated (${wording.ablation}), it has a mean metric of ${figure(faithfulness.metric)}; the model has ` +
            `${figure(task.clean.estimate)}. ` +
            (normalized
              ? `That is ${shownInterval(normalized)} of what the model does beyond all edges ablated.`
              : 'Model and ablated model do not differ, so a share of their difference cannot be shown.'),
          'A circuit is complete where it and the model lose the same when the same nodes are ablated in both, and minimal where each of its nodes matters. ' +
            `Completeness: without half of its nodes (sets at random), model and circuit differ by ${checks.completeness.random.map(figure).join(', ') || 'nothing to show'}` +
            (checks.completeness.worst
              ? `; the node whose loss tells them most apart is ${checks.completeness.worst.node} (${figure(checks.completeness.worst.gap)}).`
              : '.'),
          checks.minimality === null
            ? 'Minimality cannot be shown: the circuit has no node, or more than 64.'
            : `Minimality: the least that leaving out a node changes is ${figure(Math.min(...checks.minimality.map(({ score }) => score)))} of the model's metric.`,
          ...(base
            ? [
                `Beside the circuit that was found earlier for the same task: ${base.appeared} edges appeared and ${base.vanished} vanished ` +
                  `(Jaccard ${figure(base.edge_jaccard)}). That circuit alone does ` +
                  `${base.faithfulness ? shownInterval(base.faithfulness) : 'a share that cannot be shown'} of what this model does.`,
              ]
            : []),
        ],
        drawings: [plots.find(({ name }) => name === 'circuit')!.svg],
      },
      curve
        ? {
            heading: 'Faithfulness by size',
            text: [
              'How much of what the model does beyond all edges ablated a circuit of so many edges does: 1 is all of it.',
              curve.area === null
                ? 'The areas cannot be shown, since a point of the curve is missing.'
                : `Area under the curve ${figure(curve.area)}, area between it and 1 ${figure(curve.distance!)}; edges by ` +
                  `their scores, the others ablated by ${wording.ablation}.`,
            ],
            drawings: [plots.find(({ name }) => name === 'faithfulness')!.svg],
          }
        : {
            heading: 'What is not shown',
            text: [
              'Faithfulness by size was not computed: the method scores nodes and not edges, or it was not asked for.',
            ],
          },
    ],
  );
  return { kind: 'circuit', body, plots, files: [...files, page] };
}

function edgeScoresOf(graph: NodeGraph, byNode: ReadonlyMap<number, number>): Float64Array {
  const scores = new Float64Array(graph.sources.length * graph.readers.length);
  for (const edge of graph.edges()) {
    scores[graph.at(edge)] = byNode.get(edge.source) ?? 0;
  }
  return scores;
}
