/** The report of a comparison with reference outputs: items within a limit, entries that must be equal, notes. */
import { parseArgs } from 'node:util';
import { chooseProvider } from '../runtime/index.ts';

export type Device = 'cpu' | 'webgpu';
type Item = { abs: number; rel: number; limit: number; ok: boolean };

type Difference = { abs: number; rel: number };
/** Null stands for a missing value: it must meet null and counts no further. */
type Numbers = ArrayLike<number | null>;

/** Stands for tensors that cannot be compared or hold NaN; JSON has no infinity. */
export const INCOMPARABLE = Number.MAX_VALUE;
/** Limits are for float32 on the processor. */
const WEBGPU_FACTOR = 10;

/** Largest difference, also relative to the largest stored value (or `floor`, where that is larger). */
export function differences(found: Numbers, stored: Numbers, floor = 1e-30): Difference {
  if (found.length !== stored.length) {
    return { abs: INCOMPARABLE, rel: INCOMPARABLE };
  }
  let [abs, largest] = [0, floor];
  for (let i = 0; i < stored.length; i++) {
    const [a, b] = [found[i]!, stored[i]!];
    if (a === null && b === null) {
      continue;
    }
    const gap = a === null || b === null ? Number.NaN : Math.abs(a - b);
    if (!Number.isFinite(gap)) {
      return { abs: INCOMPARABLE, rel: INCOMPARABLE };
    }
    abs = Math.max(abs, gap);
    largest = Math.max(largest, Math.abs(b!));
  }
  return { abs, rel: abs / largest };
}

export class Report {
  readonly device: Device;
  readonly #of: { what: string; dir: string };
  readonly #items: Record<string, Item> = {};
  readonly #exact: Record<string, boolean> = {};
  readonly #notes: Record<string, string> = {};

  constructor(what: string, dir: string, device: Device) {
    this.#of = { what, dir };
    this.device = device;
  }

  /** Largest difference, relative to the largest stored value (or `floor`, where that is larger). */
  item(key: string, found: Numbers, stored: Numbers, limit: number, floor?: number): void {
    this.measured(key, differences(found, stored, floor), limit);
  }

  /** A difference that was taken elsewhere, such as the worst of many or one that is its own measure. */
  measured(key: string, { abs, rel }: Difference, limit: number): void {
    const known = (value: number) => (Number.isFinite(value) ? value : INCOMPARABLE);
    const allowed = this.device === 'webgpu' ? WEBGPU_FACTOR * limit : limit;
    this.#items[key] = { abs: known(abs), rel: known(rel), limit: allowed, ok: known(rel) <= allowed };
  }

  /** Something that cannot be computed or read counts as infinitely wrong, and the note says why. */
  failed(key: string, limit: number, why: string): void {
    this.item(key, [], [0], limit);
    this.note(key, why);
  }

  /** A case that cannot be read at all is unequal, and the note says why. */
  unreadable(key: string, error: unknown): void {
    const { code, message } = error as { code?: string; message?: string };
    this.exact(key, false);
    this.note(key, `${code ?? 'error'}: ${message ?? String(error)}`);
  }

  exact(key: string, equal: boolean): void {
    this.#exact[key] = equal;
  }

  note(key: string, text: string): void {
    this.#notes[key] = text;
  }

  toJSON() {
    const entries = Object.entries(this.#items);
    const share = ({ rel, limit }: Item) => rel / limit;
    const worst = entries.reduce<(typeof entries)[number] | undefined>(
      (most, entry) => (most && share(most[1]) >= share(entry[1]) ? most : entry),
      undefined,
    );
    const ok = entries.every(([, item]) => item.ok) && Object.values(this.#exact).every(Boolean);
    const parts = { items: this.#items, exact: this.#exact, notes: this.#notes };
    return { ...this.#of, device: this.device, ...parts, worst: worst?.[0] ?? null, ok };
  }
}

/**
 * The command `verify -- <what> DIR [--device cpu|webgpu]`: status 0 when the comparison ran, 1 with one sentence when it
 * could not, 2 on bad usage.
 */
export async function runComparison(
  what: string,
  args: readonly string[],
  compare: (dir: string, device: Device) => Promise<Report>,
): Promise<void> {
  const given = readArguments(args);
  if (!given) {
    console.error(`usage: verify -- ${what} DIR [--device cpu|webgpu]`);
    process.exit(2);
  }
  try {
    await chooseProvider(given.device);
    console.log(JSON.stringify(await compare(given.dir, given.device)));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    console.error(code && !message.startsWith(code) ? `${code}: ${message}` : message);
    process.exitCode = 1;
  }
}

function readArguments(args: readonly string[]): { dir: string; device: Device } | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { device: { type: 'string', default: 'cpu' } },
    });
    const [dir] = positionals;
    const { device } = values;
    if (!dir || positionals.length > 1 || (device !== 'cpu' && device !== 'webgpu')) {
      return undefined;
    }
    return { dir, device };
  } catch {
    return undefined;
  }
}
