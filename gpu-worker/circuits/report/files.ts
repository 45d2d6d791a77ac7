/** Tables, scores and documents of a report as files. */
import { writeCsv } from '../../../shared/formats/csv.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import type { Interval } from '../../../shared/math/resample.ts';
import { figure, type ReportFile } from '../../study/index.ts';
import type { NodeGraph } from '../graph/node-graph.ts';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
export const jsonFile = (name: string, value: unknown): ReportFile => ({
  name,
  mediaType: 'application/json',
  content: text(`${JSON.stringify(value)}\n`),
});
export const csvFile = (
  name: string,
  columns: readonly { name: string; values: ArrayLike<string | number | null> }[],
): ReportFile => ({ name, mediaType: 'text/csv', content: text(writeCsv(columns)) });

/** Scores [sources, readers] with the names of both axes beside them. */
export const scoresFile = (graph: NodeGraph, name: string, scores: ArrayLike<number>): ReportFile => ({
  name,
  mediaType: 'application/octet-stream',
  content: writeSafetensors(
    [floatTensor('scores', [graph.sources.length, graph.readers.length], Float32Array.from(scores))],
    { sources: JSON.stringify(graph.sources), readers: JSON.stringify(graph.readers) },
  ),
});

export const shownInterval = ({ estimate, low, high }: Interval): string =>
  `${figure(estimate)} [${figure(low)}, ${figure(high)}]`;
