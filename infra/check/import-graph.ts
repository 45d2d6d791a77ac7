/** Which file imports which, read from the text of the sources; types count as much as values. */
import { dirname, posix } from 'node:path';

type Import = {
  specifier: string;
  line: number /** Path from the root; null for a package. */;
  target: string | null;
};

/** Every import and re-export in the source text of one file; `file` is its path from the repository root, with slashes. */
export function importsOf(file: string, source: string): Import[] {
  const pattern =
    /(?:^|[\s;])(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|(?<![\w.])import\s*\(?\s*['"]([^'"]+)['"]/g;
  return [...source.matchAll(pattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? '';
    const line = source.slice(0, match.index + match[0].length).split('\n').length;
    return { specifier, line, target: specifier.startsWith('.') ? posix.join(dirname(file), specifier) : null };
  });
}

/**
 * Groups of files that import each other, directly or around corners: the strongly connected components of more than one
 * file (Tarjan 1972), each sorted. `files` are source texts by path.
 */
export function circles(files: ReadonlyMap<string, string>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  const visit = (file: string): number => {
    const at = order.size;
    order.set(file, at);
    let low = at;
    open.push(file);
    for (const { target } of importsOf(file, files.get(file) ?? '')) {
      if (target === null || !files.has(target)) {
        continue;
      }
      if (!order.has(target)) {
        low = Math.min(low, visit(target));
      } else if (open.includes(target)) {
        low = Math.min(low, order.get(target) ?? low);
      }
    }
    if (low === at) {
      const component = open.splice(open.indexOf(file));
      if (component.length > 1) {
        found.push(component.sort());
      }
    }
    return low;
  };
  for (const file of files.keys()) {
    if (!order.has(file)) {
      visit(file);
    }
  }
  return found;
}
