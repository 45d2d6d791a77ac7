/** Means and standard deviations over seeds, and the tables they are shown in. */

/** `mean` is null (NaN before it was stored) where a metric does not apply to a method. */
export type Spread = { mean: number | null; deviation: number | null; n: number };
export type Row = { method: string; [metric: string]: Spread | string };

export function spread(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((sum, v) => sum + v, 0) / n;
  const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return { mean, deviation: n > 1 ? Math.sqrt(square / (n - 1)) : 0, n };
}

/** One row per method from what each seed measured of it; methods keep the order of the first seed. */
export function summarise(runs: readonly ReadonlyMap<string, Readonly<Record<string, number>>>[]): Row[] {
  return [...(runs[0]?.keys() ?? [])].map((method) => {
    const measured = runs.map((run) => run.get(method)!);
    const metrics = Object.keys(measured[0]!);
    return { method, ...Object.fromEntries(metrics.map((m) => [m, spread(measured.map((run) => run[m]!))])) };
  });
}

const shown = (x: number, digits: number): string =>
  Math.abs(x) >= 1000 ? x.toFixed(0) : Math.abs(x) >= 100 ? x.toFixed(1) : x.toFixed(digits);

/** A Markdown table of rows; every metric as mean +- standard deviation. */
export function markdown(rows: readonly Row[], digits = 3): string {
  const metrics = Object.keys(rows[0] ?? {}).filter((key) => key !== 'method');
  const cell = (value: Spread | string): string => {
    if (typeof value === 'string') {
      return value;
    }
    const { mean, deviation, n } = value;
    if (mean === null || deviation === null || Number.isNaN(mean)) {
      return '–';
    }
    return n > 1 ? `${shown(mean, digits)} ± ${shown(deviation, digits)}` : shown(mean, digits);
  };
  const lines = [`| method | ${metrics.join(' | ')} |`, `|---|${metrics.map(() => '---').join('|')}|`];
  for (const row of rows) {
    lines.push(`| ${row.method} | ${metrics.map((m) => cell(row[m]!)).join(' | ')} |`);
  }
  return lines.join('\n');
}
