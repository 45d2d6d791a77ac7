/** A model of 61 million parameters at 4 bits, its weights dense and packed: decoding in turns, and memory by process. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressFolder } from '../../../gpu-worker/compression/index.ts';
import { generateInBatches } from '../../../gpu-worker/lm/generation/generate-batches.ts';
import { type LanguageModel, loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readFolder } from '../../../gpu-worker/lm/weights/folder.ts';
import { giveBack } from '../../../gpu-worker/runtime/index.ts';
import { ALLOCATOR, YOUNG_OBJECTS } from '../../../gpu-worker/worker/allocator.ts';
import { CONFIG, generatedLlama } from '../lm/generated.ts';
import { interleaved, ratios, type Summary, summary, timed } from '../pairs.ts';

const TOKENS = 48;
/** Blocks that the deeper model has more, by which memory of the linear layers is told from what a process holds anyway. */
const FURTHER = 18;
const PROCESSES = 3;
const MIB = 2 ** 20;
const WAYS = {
  dense: {},
  packed: { packed: true, activations: 'float32' },
  'packed, int8': { packed: true, activations: 'int8' },
} as const;
type Way = keyof typeof WAYS;
type Memory = { resident_mib: Summary; peak_mib: Summary };
export type PackedFigures = {
  /** Of dense decoding's speed. */
  speed: Record<string, Summary>;
  memory: Record<string, Memory>;
  /** The same with further blocks. */
  deeper: Record<string, Memory>;
  further_blocks: number;
  processes: number;
  /** Resident memory of the further blocks, of what it is with dense ones. */
  linears_of_dense: Record<string, number>;
};

/** The folder at 4 bits in groups of 32, made once: rounding needs no text but for the errors it reports. */
async function packedFolder(threads: number, further: number): Promise<string> {
  const layers = CONFIG.num_hidden_layers + further;
  const folder = join(tmpdir(), `sextant-bench-llama-rtn4-${layers}`);
  if (!existsSync(join(folder, 'config.json'))) {
    const plan = {
      method: 'rtn' as const,
      share: null,
      shares: null,
      pattern: null,
      bits: 4,
      group: 32,
      symmetric: true,
      linears: ['*'],
    };
    const texts = { calibration: [], heldOut: [[1, 2, 3, 4]] };
    const dense = generatedLlama({ ...CONFIG, num_hidden_layers: layers });
    await compressFolder(readFolder(dense), plan, texts, { folder, threads });
  }
  return folder;
}

const decode = (model: LanguageModel): Promise<unknown> =>
  generateInBatches(model, [Array.from({ length: 16 }, (_, i) => 17 * i + 5)], { maxTokens: TOKENS, stopTokens: [] });

/** Runs in the process that is measured: resident (of what is still held) and peak bytes after decoding. */
export async function residentOnce(way: string, further: number, threads: number): Promise<[number, number]> {
  const model = await loadModel(await packedFolder(threads, further), { threads, ...WAYS[way as Way] });
  await decode(model);
  giveBack();
  const found: [number, number] = [process.memoryUsage().rss, process.resourceUsage().maxRSS * 1024];
  await model.release();
  return found;
}

async function memoryOf(further: number, threads: number): Promise<Record<Way, Memory>> {
  await packedFolder(threads, further);
  const bench = join(import.meta.dirname, '../index.ts');
  const env = { ...ALLOCATOR, ...process.env };
  const found = {} as Record<Way, Memory>;
  for (const way of Object.keys(WAYS) as Way[]) {
    const runs = Array.from({ length: PROCESSES }, () => {
      const options = ['compress', '--resident', way, '--further', String(further)];
      const out = execFileSync(process.execPath, [...YOUNG_OBJECTS, bench, ...options], { encoding: 'utf8', env });
      return out
        .trim()
        .split('\n')
        .at(-1)!
        .split(' ')
        .map((bytes) => Number(bytes) / MIB) as [number, number];
    });
    found[way] = {
      resident_mib: summary(runs.map(([resident]) => resident)),
      peak_mib: summary(runs.map(([, peak]) => peak)),
    };
  }
  return found;
}

export async function measurePacked(rounds: number, threads: number): Promise<PackedFigures> {
  const [memory, deeper] = [await memoryOf(0, threads), await memoryOf(FURTHER, threads)];
  const folder = await packedFolder(threads, 0);
  const models = new Map<Way, LanguageModel>();
  for (const way of Object.keys(WAYS) as Way[]) {
    models.set(way, await loadModel(folder, { threads, ...WAYS[way] }));
  }
  const times = await interleaved(
    rounds,
    Object.fromEntries([...models].map(([way, model]) => [way, () => timed(() => decode(model))])),
  );
  for (const model of models.values()) {
    await model.release();
  }
  const packed = (Object.keys(WAYS) as Way[]).filter((way) => way !== 'dense');
  const further = (way: Way) => deeper[way].resident_mib.median - memory[way].resident_mib.median;
  return {
    speed: Object.fromEntries(packed.map((way) => [way, summary(ratios(times.dense!, times[way]!))])),
    memory,
    deeper,
    further_blocks: FURTHER,
    processes: PROCESSES,
    linears_of_dense: Object.fromEntries(packed.map((way) => [way, further(way) / further('dense')])),
  };
}
