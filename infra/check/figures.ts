/** `tests/bench/FIGURES.md` and the README's printed result, made from what benches and studies left in their `results/`. */

type Interval = { median: number; low: number; high: number };
type Host = { cpu?: string | null; threads?: number; rounds?: number; node?: string; torch?: string; measure?: string };

/** Text of a file of `tests/bench/results`. */
type ReadResult = (name: string) => string;
/** What lies in `tests/studies/results`: names of files, and the first lines of pages by name; and the names of the studies. */
type Studies = { names: readonly string[]; files: readonly string[]; titles: Readonly<Record<string, string>> };

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
    .join(', ') || 'machine not recorded';
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

function languageModelFigures(read: ReadResult): string {
  type Model = { model: string; perplexity: number; loss: number; tokens: number } & Record<
    'loss_with_residual_zeroed' | 'loss_without_what_the_layer_adds',
    number[]
  >;
  type Figures = {
    host?: Host;
    models: Model[];
    memory: { file_mib: number; peak_above_bare_mib: number; ratio: number };
    streaming: { tokens: number; peak_mib: number }[];
    extraction: { file_mib: number; tokens: number; peak_mib: number }[];
    opened_in_transformers: {
      loss_first_and_last: [number, number];
      largest_logit_difference: number;
      same_text: boolean;
    } | null;
  };
  const {
    host = {},
    models,
    memory,
    streaming,
    extraction,
    opened_in_transformers: opened,
  } = JSON.parse(read('lm-figures.json')) as Figures;
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
  const list = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(', ');
  const losses = models.map((model) => [
    model.model,
    `${model.loss.toFixed(3)} (perplexity ${model.perplexity.toFixed(2)}, ${whole(model.tokens)} tokens)`,
    list(model.loss_with_residual_zeroed),
    list(model.loss_without_what_the_layer_adds),
  ]);
  const held = [
    [
      `loading a file of ${whole(memory.file_mib)} MiB`,
      `${whole(memory.peak_above_bare_mib)} above a bare process, ${memory.ratio.toFixed(2)} times the file`,
    ],
    ...streaming.map(({ tokens, peak_mib }) => [`streaming ${whole(tokens)} tokens`, whole(peak_mib)]),
    ...extraction.map(({ tokens, file_mib, peak_mib }) => [
      `extracting ${whole(tokens)} tokens into ${whole(file_mib)} MiB`,
      whole(peak_mib),
    ]),
  ];
  const there = opened
    ? [
        `A model trained here opens in transformers: largest difference of a logit ${opened.largest_logit_difference.toExponential(1)}, the same text: ${opened.same_text ? 'yes' : 'no'}.`,
      ]
    : [];
  const head = ['model', 'loss, nats', 'with the residual of layer i zeroed', 'without what layer i adds'];
  return section(
    'Language models: hooks and memory',
    'lm-figures --torch DIR',
    host,
    table(head, losses),
    table(['peak of memory', 'MiB'], held),
    ...there,
  );
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

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isInterval = (value: unknown): value is Interval =>
  isRecord(value) && ['median', 'low', 'high'].every((name) => typeof value[name] === 'number');

/** A value in a cell: numbers to four digits, intervals as such, lists by their number. */
function cell(value: unknown): string {
  if (typeof value === 'number') {
    return String(Number(value.toPrecision(4)));
  }
  if (isInterval(value)) {
    return `${cell(value.median)} [${cell(value.low)}, ${cell(value.high)}]`;
  }
  if (Array.isArray(value)) {
    return value.length <= 4 && value.every((one) => !isRecord(one) && !Array.isArray(one))
      ? value.map(cell).join(', ')
      : `${value.length} values`;
  }
  return isRecord(value)
    ? ''
    : String(value ?? '')
        .replaceAll('|', '/')
        .slice(0, 120);
}

/** What is stored under a path of names, without records but intervals: `memory.peaks` and the like. */
function leaves(value: unknown, path: readonly string[]): [string, unknown][] {
  return isRecord(value) && !isInterval(value)
    ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]))
    : [[path.join('.'), value]];
}

/** Results that have no section of their own: every list of records a table, and the numbers beside them another. */
function otherwise(name: string, text: string): string {
  const { host, ...stored } = JSON.parse(text) as Record<string, unknown>;
  const bench = name.replace(/\.json$/, '');
  const parts: string[] = [];
  const found = leaves(stored, []);
  const beside = found.filter(
    ([, value]) => typeof value === 'number' || typeof value === 'string' || isInterval(value),
  );
  if (beside.length > 0) {
    parts.push(
      table(
        ['what', 'figure'],
        beside.map(([key, value]) => [key, cell(value)]),
      ),
    );
  }
  for (const [key, value] of found) {
    const rows = Array.isArray(value) ? value.filter(isRecord) : [];
    const head = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
      rows.some((row) => cell(row[name]) !== ''),
    );
    if (head.length > 0) {
      parts.push(
        `${key}:`,
        table(
          head,
          rows.map((row) => head.map((name) => cell(row[name]))),
        ),
      );
    }
  }
  return section(bench, bench, isRecord(host) ? (host as Host) : {}, ...parts);
}

/** Every page of the studies with the results that it shows. @throws Error for results that no page shows */
function studies({ names, files, titles }: Studies): string {
  const pages = Object.keys(titles).map((page) => page.replace(/\.md$/, ''));
  const rows = pages.map((page) => {
    const shown = files.filter((file) => pageOf(file, pages) === page).map((file) => `\`${file}\``);
    const command = `\`npm run study -- ${pageOf(`${page}.json`, names) ?? page}\``;
    return [`[${titles[`${page}.md`] ?? page}](../studies/results/${page}.md)`, command, shown.join(' ')];
  });
  const lost = files.find((file) => pageOf(file, pages) === undefined);
  if (lost) {
    throw new Error(`tests/studies/results/${lost} is shown by no page`);
  }
  return `## Studies\n\n${table(['page', 'command', 'made from'], rows)}`;
}
/** The page, or study, of the longest name with which that of a file begins. */
const pageOf = (file: string, pages: readonly string[]): string | undefined =>
  pages.filter((page) => file === `${page}.json` || file.startsWith(`${page}-`)).sort((a, b) => b.length - a.length)[0];

/** The whole page; every one of the files of `tests/bench/results` has a section. */
export function figuresPage(read: ReadResult, files: readonly string[], studied: Studies): string {
  const note =
    'Made from `tests/bench/results` and `tests/studies/results` by `npm run generate`; do not edit. Float32; [low, high] are 95 % intervals. Machines are shared and drift: trust the ratios, which are taken round by round.';
  const shown = new Set<string>();
  const noted: ReadResult = (name) => {
    shown.add(name);
    return read(name);
  };
  const own = [engine, autoencoders, pipeline, languageModels, languageModelFigures, lookup, fairness, costs];
  const sections = own.map((make) => make(noted));
  const others = files.filter((name) => name.endsWith('.json') && !shown.has(name));
  sections.push(...others.map((name) => otherwise(name, read(name))), studies(studied));
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
