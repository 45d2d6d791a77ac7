/** Graphs that this project writes, opened by EAP-IG's own loader from a checkout of it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { graphDocument } from '../../../gpu-worker/circuits/graph/circuit.ts';
import { NodeGraph } from '../../../gpu-worker/circuits/graph/node-graph.ts';
import { stream } from '../../../shared/math/random.ts';

const SHAPES = [
  { layers: 3, heads: 4, width: 16, parallel: false },
  { layers: 3, heads: 4, width: 16, parallel: true },
  { layers: 12, heads: 12, width: 768, parallel: false },
];
type Read = { nodes: Record<string, boolean>; edges: Record<string, { score: number; in_graph: boolean }> };

/**
 * Writes random circuits of three shapes and compares what the loader holds with what was written; one line each.
 * @param checkout EAP-IG's repository; `packages` holds PyTorch
 */
export function readByEapIg(checkout: string, packages: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-eap-ig-'));
  try {
    return SHAPES.map((shape, i) => {
      const graph = new NodeGraph(shape);
      const scores = stream(i, 'scores').normal(graph.sources.length * graph.readers.length);
      const document = graphDocument(
        graph,
        scores,
        Uint8Array.from(scores, (score) => Number(Math.abs(score) > 1.5)),
      );
      const file = join(folder, `graph-${i}.json`);
      writeFileSync(file, JSON.stringify(document));
      const script = join(import.meta.dirname, 'eap-ig-loader.py');
      const out = execFileSync('python3', [script, join(checkout, 'src'), file], {
        encoding: 'utf8',
        env: { ...process.env, PYTHONPATH: packages },
        maxBuffer: 2 ** 28,
      });
      const read = JSON.parse(out) as Read;
      const [names, theirs] = [Object.keys(document.edges), Object.keys(read.edges)];
      const other = names.filter((name) => {
        const [own, found] = [document.edges[name]!, read.edges[name]];
        return (
          !found || found.in_graph !== own.in_graph || Math.abs(found.score - own.score) > 1e-6 * Math.abs(own.score)
        );
      });
      const nodes = Object.entries(document.nodes).filter(
        ([name, { in_graph }]) => name !== 'logits' && read.nodes[name] !== in_graph,
      );
      const kind = shape.parallel ? 'parallel' : 'sequential';
      return (
        `${shape.layers} x ${shape.heads} heads, ${kind}: ${names.length} edges written, ${theirs.length} read, ` +
        `${other.length} of them other; ${nodes.length} of ${Object.keys(document.nodes).length} nodes other`
      );
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
