/**
 * Adds stub entries to package-lock.json for optional platform packages that the registry in use does not list, so that
 * `npm ci` finds the lock in sync on every registry (npm/cli issues 4828, 8320). Run after upgrading a dependency.
 */
import { readFileSync, writeFileSync } from 'node:fs';

type LockPackage = { optionalDependencies?: Record<string, string>; dev?: boolean } & Record<string, unknown>;
const SYSTEMS: Record<string, string> = {
  ...Object.fromEntries(
    ['darwin', 'linux', 'win32', 'android', 'freebsd', 'netbsd', 'openbsd', 'sunos', 'aix'].map((s) => [s, s]),
  ),
  windows: 'win32',
  win: 'win32',
};
const PROCESSORS = ['x64', 'arm64', 'arm', 'ia32', 'ppc64', 's390x', 'riscv64', 'loong64', 'mips64el'];

const file = process.argv[2] ?? 'package-lock.json';
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockPackage> };
const packages = lock.packages;

/** Whether `name` resolves from the package at `path`, walking up as Node does. */
function resolves(path: string, name: string): boolean {
  for (
    let base = path;
    ;
    base = base.includes('/node_modules/') ? base.slice(0, base.lastIndexOf('/node_modules/')) : ''
  ) {
    if (packages[`${base ? `${base}/` : ''}node_modules/${name}`]) {
      return true;
    }
    if (!base) {
      return false;
    }
  }
}

for (const [path, entry] of Object.entries({ ...packages })) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (resolves(path, name)) {
      continue;
    }
    const parts = name.replace(/^@/, '').split(/[-/]/);
    const os = parts.map((part) => SYSTEMS[part]).find(Boolean);
    const cpu = parts.find((part) => PROCESSORS.includes(part)) ?? (parts.includes('64') ? 'x64' : undefined);
    packages[`node_modules/${name}`] = {
      version: range.replace(/^[\^~]/, ''),
      optional: true,
      ...(entry.dev ? { dev: true } : {}),
      ...(os ? { os: [os] } : {}),
      ...(cpu ? { cpu: [cpu] } : {}),
      ...(parts.includes('musl') ? { libc: ['musl'] } : {}),
    };
    console.log(`${name}@${range}`);
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
