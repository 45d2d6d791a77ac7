/** Adds an operator to a copy of the graph as its README says, and runs what comes out. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const copy = mkdtempSync(join(tmpdir(), 'graph-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

const edit = (file: string, from: string, to: string): void => {
  const text = readFileSync(join(copy, file), 'utf8');
  expect(text.split(from), `${from} once in ${file}`).toHaveLength(2);
  writeFileSync(join(copy, file), text.replace(from, to));
};

/** x / (1 + |x|), whose slope is 1 / (1 + |x|)^2. */
const OPERATOR = `
const Softsign = unary('Softsign', {
  value: (x) => x / (1 + Math.abs(x)),
  gradient: (dy, x) => div(dy, square(add(abs(x), 1))),
});
export const softsign = function1(Softsign);
export const elementwise: readonly AnyOperator[] = [
  Softsign,`;

const SCRIPT = `
import * as g from './gpu-worker/graph/index.ts';
import { Session } from './gpu-worker/runtime/index.ts';

const x = g.input('x', [3]);
const y = g.softsign(x);
const [slope] = g.gradients(g.sum(y), [x]);
const feed = { shape: [3], data: Float32Array.of(-2, 0.5, 4) };
const [value, gradient] = g.evaluate([y, slope], { x: feed });
const session = await Session.create(g.compile({ y, slope }, { name: 'softsign' }), { provider: 'cpu', threads: 1 });
const run = await session.run({ x: feed });
await session.release();
console.log(JSON.stringify({
  listed: g.operators.some(({ name }) => name === 'Softsign'),
  value: [...value.data], gradient: [...gradient.data],
  run: [...run.y.data], slope: [...run.slope.data],
}));
`;

it('takes an entry in the file of its family and a name in the index: it then evaluates, differentiates and compiles', () => {
  for (const folder of ['gpu-worker/graph', 'gpu-worker/onnx', 'gpu-worker/runtime', 'shared', 'package.json']) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  edit('gpu-worker/graph/operators/elementwise.ts', '\nexport const elementwise: readonly AnyOperator[] = [', OPERATOR);
  edit('gpu-worker/graph/index.ts', '  softplus,\n', '  softplus,\n  softsign,\n');
  writeFileSync(join(copy, 'script.ts'), SCRIPT);
  const out = JSON.parse(execFileSync(process.execPath, ['script.ts'], { cwd: copy, encoding: 'utf8' }));
  const [value, slope] = [
    [-2 / 3, 1 / 3, 0.8],
    [1 / 9, 4 / 9, 0.04],
  ];
  expect(out.listed).toBe(true);
  for (const [i, wanted] of value.entries()) {
    expect([out.value[i], out.run[i]].map((v) => Math.abs(v - wanted) < 1e-6)).toEqual([true, true]);
  }
  for (const [i, wanted] of slope.entries()) {
    expect([out.gradient[i], out.slope[i]].map((v) => Math.abs(v - wanted) < 1e-6)).toEqual([true, true]);
  }
});
