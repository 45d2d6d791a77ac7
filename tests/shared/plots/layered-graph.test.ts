import { expect, it } from 'vitest';
import { layeredGraph } from '../../../shared/plots/layered-graph.ts';

it('lets an edge that passes a layer swing around its nodes, and no two edges of one column lie on each other', () => {
  const names = ['a', 'b', 'c', 'd'];
  const edges = names.flatMap((from, i) =>
    names.slice(i + 1).map((to) => ({ from, to, weight: 1, look: 0, title: `${from} to ${to}` })),
  );
  const layers = names.map((name) => ({ name, nodes: [name] }));
  const svg = layeredGraph({ title: 'all above each other', layers, edges, looks: [{ name: 'edge' }] });
  const paths = [...svg.matchAll(/d="M([\d.]+) [\d.]+C([\d.]+) [^"]*"><title>(\w to \w)/g)];
  expect(paths).toHaveLength(6);
  const swings = Object.fromEntries(paths.map(([, start, control, edge]) => [edge, Number(control) - Number(start)]));
  for (const near of ['a to b', 'b to c', 'c to d']) {
    expect(swings[near]).toBe(0);
  }
  expect(swings['a to c']).toBeGreaterThan(12);
  expect(swings['b to d']).toBe(swings['a to c']);
  expect(swings['a to d']).toBeGreaterThan(swings['a to c']!);
});
