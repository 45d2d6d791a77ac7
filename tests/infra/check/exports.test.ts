import { expect, test } from 'vitest';
import { unusedExports } from '../../../infra/check/exports.ts';

const unused = (files: Record<string, string>) =>
  unusedExports(new Map(Object.entries(files))).map(({ file, name, users }) => `${file} ${name}: ${users}`);

test('names exports that no other file uses, and who does use them', () => {
  const file =
    'export const own = 1;\nexport const idle = own;\nexport type Tested = string;\nexport function used() {}\n';
  const files = {
    'shared/math/a.ts': file,
    'edge/b.ts': "import { used } from '../shared/math/a.ts';",
    'tests/a.test.ts': "import { type Tested as T } from '../shared/math/a.ts';",
  };
  expect(unused(files)).toEqual([
    'shared/math/a.ts own: its own file alone',
    'shared/math/a.ts idle: nobody',
    'shared/math/a.ts Tested: tests alone',
  ]);
});

test('counts every way to take a name from a file', () => {
  const taken = { 'edge/a.ts': 'export default 1;\nexport const one = 1, two = 2;\nexport class Three {}' };
  const by = (text: string) => unused({ ...taken, 'edge/b.ts': text });
  expect(by("import a, { one, type Three as T } from './a.ts';")).toEqual([]);
  expect(by("import * as a from './a.ts';")).toEqual([]);
  expect(by("export * from './a.ts';")).toEqual([]);
  expect(by("const { one } = await import('./a.ts');")).toEqual([]);
  expect(by("new Worker(new URL('./a.ts', import.meta.url));")).toEqual([]);
  expect(by("// import a, { one } from './a.ts';")).toHaveLength(3);
});

test('leaves alone what index files offer and parts that tests look at by themselves', () => {
  expect(unused({ 'edge/index.ts': 'export const entry = 1;' })).toEqual([]);
  const part = { 'edge/a.ts': 'export const part = 1;\nexport default part + part;' };
  expect(unused({ ...part, 'edge/b.ts': "import a from './a.ts';" })).toHaveLength(1);
  const tested = { ...part, 'tests/a.test.ts': "import { part } from '../edge/a.ts';" };
  expect(unused({ ...tested, 'edge/b.ts': "import a from './a.ts';" })).toEqual([]);
});

test('counts a name that is spread as used, and a property of its name as another thing', () => {
  const spread = 'export const part = [1];\nexport default [...part];';
  expect(unused({ 'edge/a.ts': spread, 'edge/b.ts': "import a from './a.ts';" })).toEqual([
    'edge/a.ts part: its own file alone',
  ]);
  const property = 'export const part = 1;\nexport default (other: { part: number }) => other.part;';
  const tests = { 'tests/a.test.ts': "import { part } from '../edge/a.ts';" };
  expect(unused({ 'edge/a.ts': spread, 'edge/b.ts': "import a from './a.ts';", ...tests })).toEqual([]);
  expect(unused({ 'edge/a.ts': property.replace('{ part: number }', 'never'), ...tests })).toEqual([
    'edge/a.ts part: tests alone',
    'edge/a.ts default: nobody',
  ]);
});
