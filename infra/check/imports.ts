/**
 * The house's import rule, checked: `edge -> shared <- gpu-worker`, nothing imports `infra` or `tests`, and the layers
 * of the GPU worker point one way. Run by `npm run check`; exits 1 and names each offending line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';

/** Layers of `gpu-worker/`, lowest first; a folder imports only itself and folders before it. */
const LAYERS = [
  ['onnx'],
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
] as const;

/** Packages that `shared/` may use: pure code that runs in any JavaScript runtime. */
const SHARED_PACKAGES = new Set(['zod', 'jose', 'canonicalize', 'ml-matrix', 'd3-array', '@uwdata/flechette']);
const AREAS = ['edge', 'gpu-worker', 'shared', 'infra', 'tests'] as const;

type Violation = { file: string; line: number; imports: string; rule: string };

const layerOf = (path: string): number => {
  const folder = path.split('/')[1] ?? '';
  return LAYERS.findIndex((layer) => (layer as readonly string[]).includes(folder));
};

/** Every violation in the source text of one file; `file` is its path from the repository root, with slashes. */
export function violations(file: string, source: string): Violation[] {
  const area = file.split('/')[0] ?? '';
  const found: Violation[] = [];
  const pattern = /(?:^|[\s;])(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|import\s*\(?\s*['"]([^'"]+)['"]/g;
  for (const match of source.matchAll(pattern)) {
    const specifier = match[1] ?? match[2] ?? '';
    const line = source.slice(0, match.index + match[0].length).split('\n').length;
    const report = (rule: string) => found.push({ file, line, imports: specifier, rule });
    if (!specifier.startsWith('.')) {
      const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!;
      if (area === 'shared' && !SHARED_PACKAGES.has(name)) report('shared/ imports pure packages only');
      continue;
    }
    const target = posix.normalize(posix.join(dirname(file), specifier));
    const to = target.split('/')[0] ?? '';
    if (area === 'tests' || area === 'infra') {
      if (area === 'infra' && to === 'tests') report('infra never imports tests');
      continue;
    }
    if (to !== area && to !== 'shared') report(`${area}/ never imports ${to}/`);
    if (area === 'gpu-worker' && to === 'gpu-worker') {
      const [from, into] = [layerOf(file), layerOf(target)];
      if (from >= 0 && into < 0) report('a layer never imports a file outside the layers');
      if (from >= 0 && into > from) report(`layer ${file.split('/')[1]} never imports a later layer`);
      const folders = [file.split('/')[1], target.split('/')[1]];
      if (from >= 0 && from === into && folders[0] !== folders[1]) report('fields of study never import each other');
    }
  }
  return found;
}

function* sources(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.(ts|mts|js|mjs)$/.test(entry.name)) yield path;
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '../..');
  const all = AREAS.flatMap((area) => [...sources(join(root, area))]).flatMap((path) =>
    violations(relative(root, path).replaceAll('\\', '/'), readFileSync(path, 'utf8')),
  );
  for (const v of all) console.error(`${v.file}:${v.line}: imports '${v.imports}': ${v.rule}`);
  if (all.length > 0) process.exit(1);
}
