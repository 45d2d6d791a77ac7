/**
 * Every export has a user outside tests: what its own file alone uses is not exported, unless a test looks at it by itself,
 * and what only tests use does not lie in production folders. Files named index.ts say what a folder offers and are exempt.
 * Run by `npm run check`; exits 1 and names each offending line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';

/** Source text by path from the repository root, with slashes. */
type Sources = ReadonlyMap<string, string>;
type Unused = {
  file: string;
  line: number;
  name: string;
  users: 'tests alone' | 'its own file alone' | 'nobody';
};

const PRODUCTION = /^(edge|gpu-worker|shared|infra)\//;
/** Read by name from outside the sources: entries of the bundler, the test runner and npm scripts. */
const EXEMPT = /(^|\/)(index|vitest\.config)\.ts$|\.generated\.ts$|\.d\.ts$/;
const ALL = '*';

/** Keeps lines where they are. */
const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ''));

const names = (list: string): { from: string; to: string }[] =>
  list
    .split(',')
    .map((part) => part.trim().replace(/^type\s+/, ''))
    .filter(Boolean)
    .map((part) => {
      const [from = '', to = from] = part.split(/\s+as\s+/);
      return { from, to };
    });

/** Names that a file exports by a declaration or a list of its own, with where they stand in the text. */
function exportsOf(source: string): { name: string; at: number }[] {
  const found: { name: string; at: number }[] = [];
  const declared =
    /^export\s+(?:declare\s+)?(?:async\s+)?(?:abstract\s+)?(?:function\s*\*?|const|let|class|type|interface|enum)\s+(?!\{)([A-Za-z_$][\w$]*)/gm;
  for (const match of source.matchAll(declared)) {
    found.push({ name: match[1] ?? '', at: match.index });
  }
  for (const match of source.matchAll(/^export\s+const\s*\{([^}]*)\}\s*=/gm)) {
    for (const { from } of names((match[1] ?? '').replaceAll(':', ' as '))) {
      found.push({ name: from, at: match.index });
    }
  }
  for (const match of source.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/gm)) {
    for (const { to } of names(match[1] ?? '')) {
      found.push({ name: to, at: match.index });
    }
  }
  for (const match of source.matchAll(/^export\s+default\b/gm)) {
    found.push({ name: 'default', at: match.index });
  }
  return found;
}

/** What a file takes from others: by path, the names, or `*` for all of them. */
function* usesOf(file: string, source: string): Generator<{ target: string; name: string }> {
  const resolve = (specifier: string): string => posix.normalize(posix.join(dirname(file), specifier));
  const statement = /(?:^|[\s;])(import|export)\s+(?:type\s+)?([^'"();]*?)\s*from\s*['"](\.[^'"]+)['"]/g;
  for (const [, , clause = '', specifier = ''] of source.matchAll(statement)) {
    const target = resolve(specifier);
    if (clause.includes('*')) {
      yield { target, name: ALL };
    }
    const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? '';
    for (const { from } of names(list)) {
      yield { target, name: from };
    }
    if (/^[A-Za-z_$]/.test(clause.replace(/\{[^}]*\}/, '').trim())) {
      yield { target, name: 'default' };
    }
  }
  // Modules that are loaded at run time, by a thread or on demand: what is taken of them stands elsewhere.
  for (const [, specifier = ''] of source.matchAll(
    /import\(\s*['"](\.[^'"]+)['"]|new URL\(\s*['"](\.[^'"]+\.ts)['"]/g,
  )) {
    yield { target: resolve(specifier), name: ALL };
  }
  for (const [, specifier = ''] of source.matchAll(/new URL\(\s*['"](\.[^'"]+\.ts)['"]/g)) {
    yield { target: resolve(specifier), name: ALL };
  }
}

/** Exports of production files without a user in another production file. */
export function unusedExports(sources: Sources): Unused[] {
  const used = { production: new Set<string>(), tests: new Set<string>() };
  for (const [file, source] of sources) {
    for (const { target, name } of usesOf(file, withoutComments(source))) {
      used[PRODUCTION.test(file) ? 'production' : 'tests'].add(`${target} ${name}`);
    }
  }
  const usedBy = (users: Set<string>, file: string, name: string): boolean =>
    users.has(`${file} ${name}`) || users.has(`${file} ${ALL}`);
  const found: Unused[] = [];
  for (const [file, source] of sources) {
    if (!PRODUCTION.test(file) || EXEMPT.test(file)) {
      continue;
    }
    const text = withoutComments(source);
    for (const { name, at } of exportsOf(text)) {
      if (usedBy(used.production, file, name)) {
        continue;
      }
      // A property of the same name is another thing; a name that is spread is this one.
      const mention = new RegExp(`(?<![\\w$]|(?<!\\.\\.)\\.)${name.replaceAll('$', '\\$')}(?![\\w$])`, 'g');
      const mentions = text.match(mention)?.length ?? 0;
      const tested = usedBy(used.tests, file, name);
      // A part of the file's own work that tests look at by itself is no stranger to production.
      if (tested && mentions > 1) {
        continue;
      }
      const users = tested ? 'tests alone' : mentions > 1 ? 'its own file alone' : 'nobody';
      found.push({ file, line: text.slice(0, at).split('\n').length, name, users });
    }
  }
  return found;
}

function* files(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) {
      continue;
    }
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      yield* files(path);
    } else if (/\.(ts|mts)$/.test(entry.name)) {
      yield path;
    }
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '../..');
  const paths = ['edge', 'gpu-worker', 'shared', 'infra', 'tests'].flatMap((area) => [...files(join(root, area))]);
  const sources = new Map(
    paths.map((path) => [relative(root, path).replaceAll('\\', '/'), readFileSync(path, 'utf8')] as const),
  );
  const unused = unusedExports(sources);
  for (const { file, line, name, users } of unused) {
    console.error(`${file}:${line}: ${name} is exported and used by ${users}`);
  }
  if (unused.length > 0) {
    process.exitCode = 1;
  }
}
