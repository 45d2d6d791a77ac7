/**
 * Training from files against the training alone: batches a second of each, round by round, and the memory that reading takes
 * for a small and a large set of files, in processes of their own. `node files.ts memory FOLDER` is such a process.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRowFile } from '../../../gpu-worker/sae/rows/row-file.ts';
import { RowFiles } from '../../../gpu-worker/sae/rows/row-files.ts';
import { saeConfiguration } from '../../../gpu-worker/sae/training/configuration.ts';
import { FastTrainer } from '../../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../../gpu-worker/sae/training/initialise.ts';
import { fileSource } from '../../../gpu-worker/sae/training/training-source.ts';
import { floatTensor, writeSafetensors } from '../../../shared/formats/safetensors.ts';
import { stream } from '../../../shared/math/random.ts';
import { median } from '../pairs.ts';

const ROWS = 2048;
/** Rows of a file, and batches timed at once: one block. */
const [FILE_ROWS, BATCHES] = [32_768, 16];
const SIZES = [
  { d: 256, P: 4096, k: 32 },
  { d: 512, P: 8192, k: 51 },
] as const;

type FilesLine = {
  d: number;
  P: number;
  k: number;
  dtype: string;
  /** Rows a second, medians over rounds, and the median of their ratio in the same round. */
  reading: number;
  training: number;
  reading_of_training: number;
};
export type FilesResult = { batch: number; lines: FilesLine[]; memory: { files_bytes: number; peak_bytes: number }[] };

const filesIn = (folder: string): RowFiles =>
  new RowFiles(
    readdirSync(folder)
      .sort()
      .map((name) => openRowFile(join(folder, name), { name, tensor: null, scratch: folder })),
  );

function writeFiles(folder: string, count: number, d: number, dtype: 'F32' | 'F16'): void {
  const x = stream(0, 'bench/files').normal32(FILE_ROWS * d, { deviation: 1 / Math.sqrt(d) });
  for (let i = 0; i < count; i++) {
    const bytes = writeSafetensors([floatTensor('rows', [FILE_ROWS, d], x, dtype)]);
    writeFileSync(join(folder, `part-${String(i).padStart(3, '0')}.safetensors`), bytes);
  }
}

async function read(files: RowFiles, batches: number): Promise<Float32Array> {
  const { source } = fileSource(files, { batch: ROWS, seed: 0, normCap: 10, held: 8192 });
  let last = new Float32Array();
  let seen = 0;
  for await (const { x } of source.batches()) {
    last = x as Float32Array<ArrayBuffer>;
    if (++seen === batches) {
      break;
    }
  }
  return last;
}

export async function trainingFromFiles(rounds: number, threads: number): Promise<FilesResult> {
  const lines: FilesLine[] = [];
  for (const { d, P, k } of SIZES) {
    for (const dtype of ['F32', 'F16'] as const) {
      const folder = mkdtempSync(join(tmpdir(), 'sextant-bench-'));
      try {
        writeFiles(folder, 4, d, dtype);
        lines.push({ d, P, k, dtype, ...(await compared(filesIn(folder), { d, P, k, rounds, threads })) });
        const { reading, training, reading_of_training } = lines.at(-1)!;
        console.log(
          `(${d}, ${P}, ${k}) ${dtype}: read ${Math.round(reading)} rows/s, trained ${Math.round(training)} rows/s; ${reading_of_training.toFixed(1)} times as fast`,
        );
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
  }
  const memory = [2, 16].map((count) => memoryOf(count));
  for (const { files_bytes, peak_bytes } of memory) {
    console.log(`${(files_bytes / 1e6).toFixed(0)} MB of files: peak ${(peak_bytes / 1e6).toFixed(0)} MB`);
  }
  return { batch: ROWS, lines, memory };
}

type Compared = { d: number; P: number; k: number; rounds: number; threads: number };

async function compared(files: RowFiles, { d, P, k, rounds, threads }: Compared) {
  const complete = saeConfiguration({ variant: 'abstopk', inputs: d, width: P, k });
  const trainer = new FastTrainer(complete, ROWS, initialise(complete, 0), { threads });
  const rates: { reading: number; training: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const began = performance.now();
    const x = await read(files, BATCHES);
    const between = performance.now();
    for (let batch = 0; batch < BATCHES / 4; batch++) {
      await trainer.step(x, 1e-4);
    }
    const seconds = [between - began, performance.now() - between].map((ms) => ms / 1000);
    // The first round warms up.
    if (round > 0) {
      rates.push({ reading: (ROWS * BATCHES) / seconds[0]!, training: (ROWS * BATCHES) / 4 / seconds[1]! });
    }
  }
  await trainer.close();
  return {
    reading: median(rates.map(({ reading }) => reading)),
    training: median(rates.map(({ training }) => training)),
    reading_of_training: median(rates.map(({ reading, training }) => reading / training)),
  };
}

function memoryOf(count: number): FilesResult['memory'][number] {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-bench-'));
  try {
    writeFiles(folder, count, 512, 'F32');
    const peak = execFileSync(process.execPath, [import.meta.filename, 'memory', folder], { encoding: 'utf8' });
    return { files_bytes: count * FILE_ROWS * 512 * 4, peak_bytes: Number(peak) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [asked, folder] = process.argv.slice(2);
if (process.argv[1] === import.meta.filename && asked === 'memory' && folder) {
  const files = filesIn(folder);
  await read(files, Math.floor(files.rows / ROWS));
  console.log(process.resourceUsage().maxRSS * 1024);
}
