/**
 * `node tests/golden/config-sweep.ts DIR`: opens what `config-sweep.py` left in DIR and compares with transformers. Prints every
 * silent difference (both compute, and not the same) and everything that is computed where transformers does not; then, as its
 * last line, how many there are of each kind. Ends with 1 where there is a silent difference.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { readSafetensors } from '../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../shared/formats/safetensors-values.ts';

type Case = { name: string; config: unknown; outcome: string };
const TOLERANCE = 1e-3;

const [root = '.'] = process.argv.slice(2);
const counts = { equal: 0, refused_by_both: 0, refused_here_only: 0, computed_here_only: 0, different: 0 };
const scratch = mkdtempSync(join(tmpdir(), 'sextant-sweep-'));

/** Logits of the folder, or the refusal. */
async function computed(folder: string, ids: number[]): Promise<Float32Array | string> {
  try {
    const model = await loadModel(folder, { threads: 1 });
    try {
      return (await model.forward({ ids: [ids] })).logits!.data.slice();
    } finally {
      await model.release();
    }
  } catch (error) {
    return String((error as Error).message);
  }
}

for (const family of readdirSync(root).filter((name) => existsSync(join(root, name, 'cases.json')))) {
  const folder = join(root, family);
  const cases = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as Case[];
  const expected = readSafetensors(readFileSync(join(folder, 'logits.safetensors')));
  const ids = Array.from(toFloat64(expected.bytes('input_ids'), 'I64'));
  copyFileSync(join(folder, 'model.safetensors'), join(scratch, 'model.safetensors'));
  for (const { name, config, outcome } of cases) {
    writeFileSync(join(scratch, 'config.json'), JSON.stringify(config));
    const found = await computed(scratch, ids);
    if (outcome !== 'computed') {
      counts[typeof found === 'string' ? 'refused_by_both' : 'computed_here_only']++;
      if (typeof found !== 'string') {
        console.log(`${family} ${name}: computed here; transformers: ${outcome}`);
      }
      continue;
    }
    if (typeof found === 'string') {
      counts.refused_here_only++;
      console.log(`${family} ${name}: refused here: ${found.slice(0, 160)}`);
      continue;
    }
    const logits = expected.float32(name);
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - (logits[i] ?? Number.NaN))), 0);
    const same = worst <= TOLERANCE && found.length === logits.length;
    counts[same ? 'equal' : 'different']++;
    if (!same) {
      console.log(`${family} ${name}: DIFFERENT by ${worst.toPrecision(3)}`);
    }
  }
}
rmSync(scratch, { recursive: true });
console.log(JSON.stringify(counts));
process.exitCode = counts.different > 0 ? 1 : 0;
