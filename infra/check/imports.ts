/**
 * The house's import rules, checked: `edge -> shared <- gpu-worker`, nothing imports `infra` or `tests`, the layers of
 * each area point one way, files do not import each other in circles, and a folder with an `index.ts` is imported through
 * it. Run by `npm run check`; exits 1 and names each offending line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { circles, importsOf } from './import-graph.ts';

const AREAS = ['edge', 'gpu-worker', 'shared', 'infra', 'tests'] as const;

/** Layers of an area, lowest first: a folder, or a file beside the folders, imports its own layer and those before it. */
const LAYERS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'gpu-worker': [
    ['onnx', 'wasm'],
    ['graph'],
    ['runtime'],
    ['nn'],
    ['training'],
    ['lm'],
    ['study'],
    ['sae'],
    ['directions'],
    ['compression', 'circuits', 'block-sparse', 'fairness', 'ecg'],
    ['jobs'],
    ['worker', 'verify'],
  ],
  edge: [
    ['environment', 'bounded-map', 'log', 'span', 'add-column', 'keys', 'quota', 'spending', 'audit', 'http'],
    ['models', 'workers', 'artefacts', 'published'],
    ['vectors', 'fairness', 'idempotency', 'webhooks'],
    ['jobs'],
    ['requests'],
    ['openai'],
    ['inbound'],
    ['deletion'],
    ['routes'],
    ['app', 'index'],
  ],
  shared: [['math', 'formats', 'contracts'], ['models', 'signing', 'plots'], ['fairness'], ['jobs'], ['requests']],
};

/** Packages that `shared/` may use: pure code that runs in any JavaScript runtime. */
const SHARED_PACKAGES = new Set(['zod', 'jose', 'canonicalize', 'ml-matrix', 'd3-array', '@uwdata/flechette', 'fzstd']);

/** Where circles are allowed: the gradients of operators are made of other operators. */
const CIRCLES_ALLOWED = /^gpu-worker\/graph\/operators\//;

type Violation = { file: string; line: number; imports: string; rule: string };

/** Name of what lies directly in an area: a folder, or a file without its extension. */
const partOf = (path: string): string => (path.split('/')[1] ?? '').replace(/\.ts$/, '');

/** The rule that an import within one area breaks; null for none. */
function brokenWithin(area: string, file: string, target: string): string | null {
  const [from, into] = [partOf(file), partOf(target)];
  if (area === 'edge' && from !== into) {
    if (from === 'client') {
      return 'edge/client imports shared/ alone';
    }
    if (into === 'client' && from !== 'ui') {
      return 'nothing of the edge imports its client but the browser page';
    }
    if (from === 'ui' && into !== 'client') {
      return 'edge/ui imports shared/ and the client alone';
    }
    if (into === 'ui') {
      return 'nothing of the edge imports the browser page';
    }
  }
  const layers = LAYERS[area] ?? [];
  const [own, other] = [from, into].map((part) => layers.findIndex((layer) => layer.includes(part))) as [
    number,
    number,
  ];
  if (own < 0) {
    return null;
  }
  if (other < 0) {
    return 'a layer never imports a file outside the layers';
  }
  if (other > own) {
    return `layer ${from} never imports a later layer`;
  }
  if (area === 'gpu-worker' && own === other && from !== into) {
    return 'fields of study never import each other';
  }
  return null;
}

/** Folder whose `index.ts` an import goes past; null for none. A folder's own files import each other freely. */
function passedIndex(file: string, target: string, indexed: ReadonlySet<string>): string | null {
  for (let folder = dirname(target); folder.includes('/'); folder = dirname(folder)) {
    if (indexed.has(folder) && !file.startsWith(`${folder}/`) && target !== `${folder}/index.ts`) {
      return folder;
    }
  }
  return null;
}

/**
 * Every violation in the source text of one file; `file` is its path from the repository root, with slashes. `indexed` are
 * the folders that have an `index.ts`.
 */
export function violations(file: string, source: string, indexed: ReadonlySet<string> = new Set()): Violation[] {
  const area = file.split('/')[0] ?? '';
  const found: Violation[] = [];
  for (const { specifier, line, target } of importsOf(file, source)) {
    const report = (rule: string) => found.push({ file, line, imports: specifier, rule });
    if (target === null) {
      const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1);
      if (area === 'shared' && !SHARED_PACKAGES.has(name.join('/'))) {
        report('shared/ imports pure packages only');
      }
      continue;
    }
    if (area === 'tests') {
      continue;
    }
    const to = target.split('/')[0] ?? '';
    if (area === 'infra' && to === 'tests') {
      report('infra never imports tests');
    }
    if (area !== 'infra' && to !== area && to !== 'shared') {
      report(`${area}/ never imports ${to}/`);
    }
    const broken = to === area ? brokenWithin(area, file, target) : null;
    if (broken) {
      report(broken);
    }
    const passed = passedIndex(file, target, indexed);
    if (passed) {
      report(`${passed} is imported through its index.ts`);
    }
  }
  return found;
}

/** Circles that are not allowed, as sorted lists of files; `files` are source texts by path. */
export const refusedCircles = (files: ReadonlyMap<string, string>): string[][] =>
  circles(files).filter((circle) => !circle.every((file) => CIRCLES_ALLOWED.test(file)));

function* sources(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) {
      continue;
    }
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      yield* sources(path);
    } else if (/\.(ts|mts|js|mjs)$/.test(entry.name)) {
      yield path;
    }
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '../..');
  const paths = AREAS.flatMap((area) => [...sources(join(root, area))]);
  const files = new Map(paths.map((path) => [relative(root, path).replaceAll('\\', '/'), readFileSync(path, 'utf8')]));
  const indexed = new Set([...files.keys()].filter((file) => file.endsWith('/index.ts')).map((file) => dirname(file)));
  const broken = [...files].flatMap(([file, source]) => violations(file, source, indexed));
  for (const v of broken) {
    console.error(`${v.file}:${v.line}: imports '${v.imports}': ${v.rule}`);
  }
  const around = refusedCircles(files);
  for (const circle of around) {
    console.error(`${circle[0]}: files import each other in a circle: ${circle.join(', ')}`);
  }
  if (broken.length + around.length > 0) {
    process.exit(1);
  }
}
