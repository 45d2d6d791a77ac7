/** `tests/bench/FIGURES.md` and the README's printed result, made from what benches left in `tests/bench/results`. */

type Interval = { median: number; low: number; high: number };
type Host = { cpu?: string | null; threads?: number; rounds?: number; node?: string; torch?: string; measure?: string };

/** Text of a file of `tests/bench/results`. */
type ReadResult = (name: string) => string;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const interval = ({ median, low, high }: Interval, digits: number): string =>
  `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
const hostOf = (host: Host): string =>
  [
    host.cpu,
    host.threads && `${host.threads} threads`,
    host.rounds && `${host.rounds} rounds`,
    host.node && `Node ${host.node.replace('v', '')}`,
    host.torch && `PyTorch ${host.torch.split('+')[0]}`,
    host.measure,
  ]
    .filter(Boolean)
    .join(', ');
const section = (title: string, command: string, host: Host, ...parts: string[]): string =>
  [`## ${title}`, `\`npm run bench -- ${command}\` (${hostOf(host)})`, ...parts].join('\n\n');

function engine(read: ReadResult): string {
  type Line = { step: string; ms: Interval; share: Interval; of_torch: Interval | null };
  const { host, lines } = JSON.parse(read('engine.json')) as { host: Host; lines: Line[] };
  const rows = lines.map(({ step, ms, share, of_torch }) => [
    step,
    interval(ms, 1),
    interval(share, 0),
    of_torch ? interval(of_torch, 2) : '',
  ]);
  const head = ['step, Adam included', 'ms', '% of the matmul rate', "of PyTorch's time"];
  return section('Training steps', 'engine --torch DIR', host, table(head, rows));
}

function autoencoders(read: ReadResult): string {
  type Line = { variant: string; d: number; P: number; k: number; way: string; ms: number; ratio: number | null };
  const { host, batch, lines } = JSON.parse(read('sae.json')) as { host: Host; batch: number; lines: Line[] };
  const rows = lines.map(({ variant, d, P, k, way, ms, ratio }) => [
    variant,
    `${d} wide, ${P} latents, k ${k}`,
    way,
    ms.toFixed(0),
    ratio?.toFixed(2) ?? '',
  ]);
  const head = ['variant', 'size', 'way', 'ms a step', "of PyTorch's time"];
  return section('Sparse autoencoders', 'sae --torch DIR', host, `Batches of ${batch}.`, table(head, rows));
}

function pipeline(read: ReadResult): string {
  type Line = { model: string; d: number; P: number; k: number; medians: { of_slower: number; of_sum: number } };
  const { host, pipelines } = JSON.parse(read('sae-pipeline.json')) as { host: Host; pipelines: Line[] };
  const rows = pipelines.map(({ model, d, P, k, medians }) => [
    model,
    `(${d}, ${P}, ${k})`,
    medians.of_slower.toFixed(2),
    medians.of_sum.toFixed(2),
  ]);
  const head = ['model', 'autoencoder (d, P, k)', 'streamed, of the slower stage', 'of both stages after one another'];
  return section('Training from a language model', 'sae --only pipeline --rounds 7', host, table(head, rows));
}

function languageModels(read: ReadResult): string {
  type Line = { model: string; what: string; ours: Interval; unit: string; against: string; ratio: Interval | null };
  const { lines, pairs, ...host } = JSON.parse(read('lm.json')) as Host & { lines: Line[]; pairs: number };
  const rows = lines.map(({ model, what, ours, unit, against, ratio }) => [
    model,
    what,
    `${interval(ours, ratio ? 0 : 1)} ${unit}`,
    ratio ? `${interval(ratio, 2)} times ${against}` : `against ${against}`,
  ]);
  const head = ['model', 'what', 'ours', 'ratio'];
  return section('Language models', 'lm --torch DIR', host, `${pairs} interleaved pairs.`, table(head, rows));
}

function lookup(read: ReadResult): string {
  type Result = {
    machine: string;
    node: string;
    rows: Record<string, string | number>[];
    cold: { bare_ms: number; edge_ms: number };
    bundle_gzip_kib: number;
  };
  const { machine, node, rows, cold, bundle_gzip_kib } = JSON.parse(read('lookup.json')) as Result;
  const head = Object.keys(rows[0] ?? {});
  return section(
    'Looking up a vector',
    'lookup',
    { cpu: machine, node },
    `16 KB, beside a bare Worker that returns as much; KV and R2 are local simulators and say nothing about production. Cold isolate ${cold.edge_ms.toFixed(0)} ms from process start to first answer (bare ${cold.bare_ms.toFixed(0)} ms); bundle ${bundle_gzip_kib.toFixed(0)} KiB gzip.`,
    table(
      head,
      rows.map((row) => head.map((name) => String(row[name] ?? ''))),
    ),
  );
}

function fairness(read: ReadResult): string {
  const { host, lines } = JSON.parse(read('fairness.json')) as {
    host: Host;
    lines: { what: string; figure: string }[];
  };
  return section(
    'Fairness',
    'fairness',
    host,
    table(
      ['what', 'figure'],
      lines.map(({ what, figure }) => [what, figure]),
    ),
  );
}

function costs(read: ReadResult): string {
  type Line = {
    type: string;
    sizes: string;
    held: boolean;
    cpu_s: number;
    estimated_s: number;
    peak_mb: number;
    estimated_mb: number;
  };
  const { host, lines } = JSON.parse(read('costs.json')) as { host: Host; lines: Line[] };
  const rows = lines.map(({ type, sizes, held, cpu_s, estimated_s, peak_mb, estimated_mb }) => [
    type,
    sizes.replaceAll('|', '/'),
    held ? 'no' : 'yes',
    `${cpu_s} / ${estimated_s}`,
    `${peak_mb} / ${estimated_mb}`,
    (estimated_mb / peak_mb).toFixed(2),
  ]);
  const head = ['job', 'sizes', 'in the fit', 's, measured / estimated', 'MB, measured / estimated', 'ratio of memory'];
  return section('Estimates of jobs', 'costs --calibrate', host, table(head, rows));
}

/** The whole page. */
export function figuresPage(read: ReadResult): string {
  const note =
    'Made from `tests/bench/results` by `npm run generate`; do not edit. Float32; [low, high] are 95 % intervals. Machines are shared and drift: trust the ratios, which are taken round by round.';
  const sections = [engine, autoencoders, pipeline, languageModels, lookup, fairness, costs].map((make) => make(read));
  return `# Figures\n\n${note}\n\n${sections.join('\n\n')}\n`;
}

/** The README with what the main job found, as it printed it. @throws Error where the place is not marked */
export function withMainJob(readme: string, read: ReadResult): string {
  const place = /(<!-- generated: main-job -->\n)[\s\S]*?(<!-- \/generated -->)/;
  if (!place.test(readme)) {
    throw new Error('README.md has no place marked for the result of the main job');
  }
  const printed = read('main-job.txt');
  // The lines above tell how long each job took, on whatever machine; those between the tables how the vector was looked up.
  const found = printed
    .slice(printed.indexOf('How well'))
    .replace(/^Vector [\s\S]*?(?=^Steering)/m, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const shown = found.map((line) => line.trimEnd()).join('\n');
  return readme.replace(place, (_, before: string, after: string) => `${before}\`\`\`\n${shown}\n\`\`\`\n${after}`);
}
