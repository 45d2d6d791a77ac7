/**
 * What a compression job needs at most: a process of its own runs it as a worker does and says its peak memory. `bare` loads
 * the same code and runs one product.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Products } from '../../../gpu-worker/compression/index.ts';
import { ALLOCATOR, YOUNG_OBJECTS } from '../../../gpu-worker/worker/allocator.ts';
import modelCompress from '../../../shared/jobs/model.compress.ts';
import { LocalJobs } from '../../support/job-context.ts';
import { wordTokenizer } from '../../support/word-tokenizer.ts';
import { BLOCKS_CONFIG, generatedLlama } from '../lm/generated.ts';

export type Peak = { method: string; file_mib: number; above_bare_mib: number; of_file: number };

const MIB = 2 ** 20;

/** The model of 24 blocks, with a tokenizer for its text. */
function blocksFolder(): string {
  const folder = generatedLlama(BLOCKS_CONFIG);
  const file = join(folder, 'tokenizer.json');
  if (!existsSync(file)) {
    const { json, config } = wordTokenizer(2000);
    writeFileSync(file, JSON.stringify(json));
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  }
  return folder;
}

/** Runs in the process that is measured; the answer is its peak resident memory in bytes. */
export async function runOnce(method: string, threads: number, sequences: number, length: number): Promise<number> {
  if (method === 'bare') {
    const products = new Products({ threads });
    const one = { rows: 64, cols: 64, data: new Float32Array(4096) };
    await products.multiply('float32', one, one);
    await products.release();
  } else {
    const jobs = new LocalJobs({ threads, models: { blocks: blocksFolder() } });
    try {
      const texts = Array.from({ length: Math.ceil(1.3 * sequences) }, (_, r) =>
        Array.from({ length }, (_, i) => `w${2 + ((r * 31 + i * 17) % 1999)}`).join(' '),
      );
      await jobs.run(modelCompress, {
        model: { local: 'blocks' },
        corpus: { texts },
        method,
        ...(method === 'gptq' ? { bits: 4, group: 32 } : { share: 0.5 }),
        tokens: sequences * length,
        held_out_tokens: 4 * length,
        context: length,
      });
    } finally {
      jobs.close();
    }
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** Peaks of the methods above the bare process, each in a process of its own. */
export function measurePeaks(methods: readonly string[], sequences: number): Peak[] {
  const bench = join(import.meta.dirname, '../index.ts');
  const peak = (method: string): number => {
    const options = ['compress', '--peak', method, '--sequences', String(sequences)];
    const env = { ...ALLOCATOR, ...process.env };
    const out = execFileSync(process.execPath, [...YOUNG_OBJECTS, bench, ...options], { encoding: 'utf8', env });
    return Number(out.trim().split('\n').at(-1)) / MIB;
  };
  const file = statSync(join(blocksFolder(), 'model.safetensors')).size / MIB;
  const bare = peak('bare');
  return methods.map((method) => {
    const above = peak(method) - bare;
    return { method, file_mib: file, above_bare_mib: above, of_file: above / file };
  });
}
