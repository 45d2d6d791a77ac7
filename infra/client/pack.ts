/**
 * `npm run pack:client`: the package `sextant` as a tarball. ESM, types and the command, and nothing that it depends on:
 * the library imports types alone, the command is bundled with what it uses, and zod's types, which the contracts' own are
 * made of, lie in the package. Prints the tarball's path.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const OUT = join(ROOT, 'dist', 'client');
const root = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string; license: string };

/** Every file below a folder that ends so. */
const filesOf = (folder: string, end: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(end))
    .map((path) => join(folder, path));

async function bundle(): Promise<void> {
  const common = { bundle: true, format: 'esm', target: 'node20', minify: true, legalComments: 'linked' } as const;
  await build({
    ...common,
    target: 'es2022',
    entryPoints: [join(ROOT, 'edge/client/index.ts')],
    outfile: join(OUT, 'index.js'),
  });
  await build({
    ...common,
    platform: 'node',
    // contracts are loaded by the commands that check against them, so that the others start at once
    splitting: true,
    entryPoints: [join(ROOT, 'edge/client/command/main.ts')],
    outdir: join(OUT, 'command'),
    // commander is CommonJS and asks for Node's modules by `require`
    banner: {
      js: "import { createRequire as sextantRequire } from 'node:module'; const require = sextantRequire(import.meta.url);",
    },
  });
  const main = join(OUT, 'command', 'main.js');
  const text = readFileSync(main, 'utf8').replace(/^#!.*\n/, '');
  writeFileSync(main, `#!/usr/bin/env node\n${text.replace(/\n#!.*\n/, '\n')}`);
  chmodSync(main, 0o755);
}

/** Declarations of the library and of the contracts below it, with zod's beside them. */
function declarations(): void {
  const types = join(OUT, 'types');
  const emit = ['--noEmit', 'false', '--emitDeclarationOnly', '--declaration', '--incremental', 'false'];
  const config = {
    extends: join(ROOT, 'edge/client/tsconfig.json'),
    files: [join(ROOT, 'edge/client/index.ts')],
    include: [],
  };
  const file = join(OUT, 'tsconfig.json');
  writeFileSync(
    file,
    JSON.stringify({
      ...config,
      compilerOptions: { tsBuildInfoFile: null, typeRoots: [join(ROOT, 'node_modules/@types')] },
    }),
  );
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', file, ...emit, '--rootDir', ROOT, '--outDir', types], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  rmSync(file);
  const zod = join(ROOT, 'node_modules/zod');
  for (const path of filesOf(zod, '.d.ts')) {
    const to = join(types, 'zod', relative(zod, path));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to);
  }
  cpSync(join(zod, 'LICENSE'), join(types, 'zod', 'LICENSE'));
  for (const path of [...filesOf(join(types, 'edge'), '.d.ts'), ...filesOf(join(types, 'shared'), '.d.ts')]) {
    const to = relative(dirname(path), join(types, 'zod', 'index.js')).replaceAll('\\', '/');
    const text = readFileSync(path, 'utf8')
      .replaceAll(/(from |import\()(['"])(\.[^'"]+)\.ts\2/g, '$1$2$3.js$2')
      .replaceAll(/(from |import\()(['"])zod\2/g, `$1$2${to}$2`);
    writeFileSync(path, text);
  }
}

function describe(): void {
  const about = {
    name: 'sextant',
    version: root.version,
    description: 'Client and command line of Sextant.',
    license: root.license,
    type: 'module',
    engines: { node: '>=20' },
    sideEffects: false,
    bin: { sextant: './command/main.js' },
    types: './types/edge/client/index.d.ts',
    exports: {
      '.': { types: './types/edge/client/index.d.ts', default: './index.js' },
      './package.json': './package.json',
    },
  };
  writeFileSync(join(OUT, 'package.json'), `${JSON.stringify(about, null, 2)}\n`);
  cpSync(join(ROOT, 'LICENSE'), join(OUT, 'LICENSE'));
  cpSync(join(ROOT, 'edge/client/README.md'), join(OUT, 'README.md'));
}

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
await bundle();
declarations();
describe();
const [packed] = JSON.parse(
  execFileSync('npm', ['pack', '--json', '--pack-destination', join(ROOT, 'dist')], { cwd: OUT, encoding: 'utf8' }),
) as [{ filename: string }];
console.log(join(ROOT, 'dist', packed.filename));
