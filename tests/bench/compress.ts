/**
 * `npm run bench -- compress [--torch DIR] [--rounds 5] [--sequences 64] [--only wanda,sparsegpt,gptq,memory,packed,opened]
 * [--peaks wanda,gptq]`: a random Llama of 40 million parameters compressed from folder to folder, beside the same algorithms in
 * PyTorch eager where DIR holds its packages, in turns; the memory that a job needs on 24 blocks and 400 MiB; decoding with weights
 * that stay packed; and what is written, opened in transformers.
 * Leaves `results/compress.json`, part by part; what was not asked for stays there as it was.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CompressionPlan, compressFolder } from '../../gpu-worker/compression/index.ts';
import { readFolder } from '../../gpu-worker/lm/weights/folder.ts';
import { hasData } from '../support/guide.ts';
import { openedElsewhere } from './compress/opened.ts';
import { measurePacked, residentOnce } from './compress/packed.ts';
import { measurePeaks, runOnce } from './compress/peak.ts';
import { generatedLlama, SMALL_CONFIG } from './lm/generated.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

const THREADS = 2;
const LENGTH = 256;
const METHODS = ['wanda', 'sparsegpt', 'gptq'] as const;
type Method = (typeof METHODS)[number];
type Line = { method: Method; seconds: Summary; torch_seconds: Summary | null; ratio: Summary | null };

type Results = {
  lines: (Line & { device: string; torch: string | null; rounds: number; sequences: number; length: number })[];
  memory: { device: string; sequences: number; peaks: ReturnType<typeof measurePeaks> } | null;
  packed: ({ device: string; rounds: number } & Awaited<ReturnType<typeof measurePacked>>) | null;
  opened: Awaited<ReturnType<typeof openedElsewhere>>;
};

const rowsOf = (count: number, vocabulary: number): number[][] =>
  Array.from({ length: count }, (_, r) => Array.from({ length: LENGTH }, (_, i) => (r * 31 + i * 17 + 5) % vocabulary));

/** One compression from folder to folder; a single held-out sequence, so that what is timed is the algorithm. */
async function compress(folder: string, method: Method, sequences: number): Promise<void> {
  const to = mkdtempSync(join(tmpdir(), 'sextant-bench-compress-'));
  try {
    const model = readFolder(folder);
    const rows = rowsOf(sequences + 1, model.architecture.vocabulary);
    const rounding = method === 'gptq';
    const plan: CompressionPlan = {
      method,
      share: rounding ? null : 0.5,
      shares: null,
      pattern: null,
      bits: rounding ? 4 : null,
      group: 128,
      symmetric: true,
      linears: ['*'],
    };
    const texts = { calibration: rows.slice(0, sequences), heldOut: rows.slice(sequences) };
    await compressFolder(model, plan, texts, { folder: to, threads: THREADS });
  } finally {
    rmSync(to, { recursive: true });
  }
}

async function times(folder: string, torch: Torch | null, method: Method, rounds: number, sequences: number) {
  const found = await interleaved(
    rounds,
    {
      ours: () => timed(() => compress(folder, method, sequences)),
      ...(torch && { theirs: async () => 1000 * (await torch.measure(`${method} ${sequences} ${LENGTH}`)) }),
    },
    { warm: false },
  );
  const seconds = (ms: readonly number[]) => summary(ms.map((value) => value / 1000));
  const line: Line = {
    method,
    seconds: seconds(found.ours!),
    torch_seconds: found.theirs ? seconds(found.theirs) : null,
    ratio: found.theirs ? summary(ratios(found.theirs, found.ours!)) : null,
  };
  const beside = line.ratio ? `, PyTorch ${show(line.torch_seconds!, 1)} s: ${show(line.ratio, 2)} of ours` : '';
  console.log(`${method.padEnd(10)} ${show(line.seconds, 1)} s${beside}`);
  return line;
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: {
      torch: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      sequences: { type: 'string', default: '64' },
      only: { type: 'string' },
      peaks: { type: 'string', default: METHODS.join(',') },
      peak: { type: 'string' },
      resident: { type: 'string' },
      further: { type: 'string', default: '0' },
    },
  });
  if (values.peak) {
    console.log(await runOnce(values.peak, THREADS, Number(values.sequences), LENGTH));
    return;
  }
  if (values.resident) {
    console.log((await residentOnce(values.resident, Number(values.further), THREADS)).join(' '));
    return;
  }
  const wanted = values.only?.split(',') ?? [...METHODS, 'memory', 'packed', 'opened'];
  const [rounds, sequences] = [Number(values.rounds), Number(values.sequences)];
  const device = `${cpus()[0]?.model ?? 'unknown'}, ${THREADS} of ${cpus().length} threads`;
  await measureTimes(
    METHODS.filter((name) => wanted.includes(name)),
    { device, rounds, sequences, packages: values.torch },
  );
  for (const method of wanted.includes('memory') ? values.peaks.split(',') : []) {
    const [peak] = measurePeaks([method], sequences);
    console.log(
      `${method.padEnd(10)} peak ${peak!.above_bare_mib.toFixed(0)} MiB above bare, ${peak!.of_file.toFixed(2)} of ${peak!.file_mib.toFixed(0)}`,
    );
    keep(({ memory }) => {
      const others = memory?.peaks.filter((other) => other.method !== method) ?? [];
      return { memory: { device, sequences, peaks: [...others, peak!] } };
    });
  }
  if (wanted.includes('packed')) {
    const packed = await measurePacked(rounds, THREADS);
    for (const [way, speed] of Object.entries(packed.speed)) {
      const { resident_mib, peak_mib } = packed.memory[way]!;
      const linears = packed.linears_of_dense[way]!.toFixed(2);
      console.log(
        `${way.padEnd(14)} decoding ${show(speed, 2)} x dense; resident ${show(resident_mib, 0)} MiB, peak ${show(peak_mib, 0)}; linears ${linears} of dense`,
      );
    }
    keep(() => ({ packed: { device, rounds, ...packed } }));
  }
  if (values.torch !== undefined && hasData && wanted.includes('opened')) {
    const opened = await openedElsewhere(values.torch, THREADS);
    for (const { method, packed_by, largest_logit_difference, zeros_agree } of opened) {
      const zeros = zeros_agree ? 'the same zeros' : 'OTHER ZEROS';
      console.log(
        `${method.padEnd(10)} in transformers (${packed_by}): logits differ by ${largest_logit_difference.toExponential(1)}, ${zeros}`,
      );
    }
    keep(() => ({ opened }));
  }
}

type Timing = { device: string; rounds: number; sequences: number; packages: string | undefined };

async function measureTimes(methods: readonly Method[], { packages, ...setting }: Timing): Promise<void> {
  if (methods.length === 0) {
    return;
  }
  const folder = generatedLlama(SMALL_CONFIG);
  const script = join(import.meta.dirname, 'compress/eager.py');
  const torch = packages === undefined ? null : await Torch.start(script, packages, THREADS, folder);
  try {
    for (const method of methods) {
      const line = await times(folder, torch, method, setting.rounds, setting.sequences);
      const measured = { ...line, ...setting, torch: torch?.version ?? null, length: LENGTH };
      keep(({ lines }) => ({ lines: [...lines.filter((other) => other.method !== method), measured] }));
    }
  } finally {
    torch?.stop();
  }
}

/** Puts a part that was measured into the results, at once: what follows it takes long. */
function keep(part: (before: Results) => Partial<Results>): void {
  const file = join(import.meta.dirname, 'results/compress.json');
  const before: Results = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Results)
    : { lines: [], memory: null, packed: null, opened: [] };
  writeFileSync(file, `${JSON.stringify({ ...before, ...part(before) }, null, 1)}\n`);
}
