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
import { ALLOCATOR } from '../../../gpu-worker/worker/allocator.ts';
import { generatedLlama } from '../lm/generated.ts';
import { interleaved, ratios, type Summary, summary, timed } from '../pairs.ts';

const TOKENS = 48;
const MIB = 2 ** 20;
const WAYS = {
  dense: {},
  packed: { packed: true, activations: 'float32' },
  'packed, int8': { packed: true, activations: 'int8' },
} as const;
type Way = keyof typeof WAYS;
type Memory = { resident_mib: number; peak_mib: number };
export type PackedFigures = {
  /** Of dense decoding's speed. */
  speed: Record<string, Summary>;
  memory: Record<string, Memory>;
  /** Resident memory of what the linear layers need beyond bare process, embeddings and head, of the dense ones'. */
  linears_of_dense: Record<string, number>;
};

/** The folder at 4 bits in groups of 32, made once: rounding needs no text but for the errors it reports. */
async function packedFolder(threads: number): Promise<string> {
  const folder = join(tmpdir(), 'sextant-bench-llama-61m-rtn4');
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
    await compressFolder(readFolder(generatedLlama()), plan, texts, { folder, threads });
  }
  return folder;
}

const decode = (model: LanguageModel): Promise<unknown> =>
  generateInBatches(model, [Array.from({ length: 16 }, (_, i) => 17 * i + 5)], { maxTokens: TOKENS, stopTokens: [] });

/** Runs in the process that is measured: resident (of what is still held) and peak bytes after decoding; `bare` opens nothing. */
export async function residentOnce(way: string, threads: number): Promise<[number, number]> {
  const model = way === 'bare' ? null : await loadModel(await packedFolder(threads), { threads, ...WAYS[way as Way] });
  if (model) {
    await decode(model);
  }
  giveBack();
  const found: [number, number] = [process.memoryUsage().rss, process.resourceUsage().maxRSS * 1024];
  await model?.release();
  return found;
}

export async function measurePacked(rounds: number, threads: number): Promise<PackedFigures> {
  const folder = await packedFolder(threads);
  const bench = join(import.meta.dirname, '../index.ts');
  const memory: Record<string, Memory> = {};
  for (const way of ['bare', ...Object.keys(WAYS)]) {
    const env = { ...ALLOCATOR, ...process.env };
    const out = execFileSync(process.execPath, [bench, 'compress', '--resident', way], { encoding: 'utf8', env });
    const [resident, peak] = out.trim().split('\n').at(-1)!.split(' ').map(Number) as [number, number];
    memory[way] = { resident_mib: resident / MIB, peak_mib: peak / MIB };
  }
  const models = new Map<Way, LanguageModel>();
  for (const way of Object.keys(WAYS) as Way[]) {
    models.set(way, await loadModel(folder, { threads, ...WAYS[way] }));
  }
  const { architecture: a } = models.get('dense')!;
  const others = (2 * 4 * a.vocabulary * a.width) / MIB + memory.bare!.resident_mib;
  const times = await interleaved(
    rounds,
    Object.fromEntries([...models].map(([way, model]) => [way, () => timed(() => decode(model))])),
  );
  for (const model of models.values()) {
    await model.release();
  }
  const packed = Object.keys(WAYS).filter((way) => way !== 'dense');
  const linears = (way: string) => memory[way]!.resident_mib - others;
  return {
    speed: Object.fromEntries(packed.map((way) => [way, summary(ratios(times.dense!, times[way]!))])),
    memory,
    linears_of_dense: Object.fromEntries(packed.map((way) => [way, linears(way) / linears('dense')])),
  };
}
