/** What this project writes, opened by transformers: logits and exact zeros beside our own reading. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type CompressionPlan, compressFolder } from '../../../gpu-worker/compression/index.ts';
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readFolder, readWeight } from '../../../gpu-worker/lm/weights/folder.ts';
import { data } from '../../support/guide.ts';

type Opened = { method: string; packed_by: string; largest_logit_difference: number; zeros_agree: boolean };
type Answer = { logits: number[]; zeros: Record<string, number> };

const PLANS: readonly (Pick<CompressionPlan, 'method'> & Partial<CompressionPlan>)[] = [
  { method: 'wanda', share: 0.5 },
  { method: 'n_of_m', pattern: { n: 2, m: 4 } },
  { method: 'sparsegpt', share: 0.25 },
  { method: 'gptq', bits: 4 },
  { method: 'rtn', bits: 3, symmetric: false },
  { method: 'awq', bits: 8 },
];
const ROWS = [0, 1].map((r) => Array.from({ length: 24 }, (_, i) => (r * 31 + i * 17 + 5) % 500));

/** Compresses the trained 2M Llama in several ways and asks PyTorch in `packages` what it finds in each folder. */
export async function openedElsewhere(packages: string, threads: number): Promise<Opened[]> {
  const child = spawn('python3', [join(import.meta.dirname, 'opened.py')], {
    env: { ...process.env, PYTHONPATH: packages },
  });
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) {
      throw new Error('transformers ended before it answered');
    }
    return JSON.parse(value as string) as T;
  };
  const calibration = Array.from({ length: 8 }, (_, r) =>
    Array.from({ length: 64 }, (_, i) => (r * 37 + i * 13 + 3) % 500),
  );
  const { packed } = await next<{ packed: string }>();
  const found: Opened[] = [];
  try {
    for (const plan of PLANS) {
      const folder = mkdtempSync(join(tmpdir(), 'sextant-opened-'));
      const whole = {
        share: null,
        shares: null,
        pattern: null,
        bits: null,
        group: 64,
        symmetric: true,
        linears: ['*'],
        ...plan,
      };
      await compressFolder(
        readFolder(data('quantised', 'stories2M-llama')),
        whole,
        { calibration, heldOut: ROWS },
        { folder, threads },
      );
      const model = await loadModel(folder, { threads });
      const { logits } = await model.forward({ ids: ROWS });
      child.stdin.write(`${folder}\n`);
      const answer = await next<Answer>();
      const zeros = Object.keys(answer.zeros).map((name) =>
        readWeight(model.folder, name).reduce((count, value) => count + (value === 0 ? 1 : 0), 0),
      );
      found.push({
        method: plan.method,
        packed_by: packed,
        largest_logit_difference: Math.max(...answer.logits.map((value, i) => Math.abs(value - logits!.data[i]!))),
        zeros_agree: Object.values(answer.zeros).every((count, i) => count === zeros[i]),
      });
      await model.release();
      rmSync(folder, { recursive: true });
    }
  } finally {
    child.stdin.end();
  }
  return found;
}
