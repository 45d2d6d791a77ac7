/**
 * `npm run study -- ecg train|evaluate|classical [options]`: trains the denoiser on the records of the study (`--seed`, `--steps`,
 * `--cooldown FROM+STEPS`, `--threads`, `--out DIR`) and measures it beside the classical lines on records of other people
 * (`--model DIR`, `--samples N`). Results are written to `results/ecg.json`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { conditionsOf } from '../../gpu-worker/ecg/denoise/context.ts';
import {
  CONFIG_FILE,
  readEcgModel,
  SHIPPED_MODEL,
  WEIGHTS_FILE,
  writeEcgModel,
} from '../../gpu-worker/ecg/model/document.ts';
import { standardNetwork } from '../../gpu-worker/ecg/network/configuration.ts';
import { finishModel } from '../../gpu-worker/ecg/training/finish.ts';
import { type Cooldown, trainDenoiser } from '../../gpu-worker/ecg/training/train.ts';
import { classicalMarkdown, classicalStudy } from './ecg/classical.ts';
import { evaluateStudy, markdown, type StudyResults } from './ecg/evaluate.ts';
import { studyMaterial, TEST, TRAIN, VALIDATION } from './ecg/material.ts';

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '0' },
      steps: { type: 'string', default: '3000' },
      cooldown: { type: 'string', multiple: true, default: [] },
      threads: { type: 'string', default: '2' },
      out: { type: 'string', default: SHIPPED_MODEL },
      model: { type: 'string', default: SHIPPED_MODEL },
      samples: { type: 'string', default: '300000' },
    },
  });
  const threads = Number(values.threads);
  if (positionals[0] === 'train') {
    const cooldown = values.cooldown.map((text) => {
      const [from, steps] = text.split('+').map(Number);
      return { from: from!, steps: steps! };
    });
    await train({ seed: Number(values.seed), steps: Number(values.steps), cooldown, threads, out: values.out });
  } else if (positionals[0] === 'evaluate') {
    const model = await readEcgModel(join(values.model, CONFIG_FILE), join(values.model, WEIGHTS_FILE));
    const folder = join(import.meta.dirname, 'results');
    // Written after every record: what was measured is there when the rest is interrupted.
    const report = (results: StudyResults) => {
      writeFileSync(join(folder, 'ecg.json'), `${JSON.stringify(results, null, 1)}\n`);
      writeFileSync(join(folder, 'ecg.md'), markdown(results));
    };
    console.log(markdown(await evaluateStudy(model, { samples: Number(values.samples), threads, report })));
  } else if (positionals[0] === 'classical') {
    const results = await classicalStudy(Number(values.samples));
    const folder = join(import.meta.dirname, 'results');
    writeFileSync(join(folder, 'ecg-classical.json'), `${JSON.stringify(results, null, 1)}\n`);
    writeFileSync(join(folder, 'ecg-classical.md'), classicalMarkdown(results));
    console.log(classicalMarkdown(results));
  } else {
    console.error('usage: study -- ecg train|evaluate|classical [options]');
    process.exit(2);
  }
}

type Training = { seed: number; steps: number; cooldown: Cooldown[]; threads: number; out: string };

async function train({ seed, steps, cooldown, threads, out }: Training): Promise<void> {
  const { train, validation, units } = await studyMaterial();
  const network = standardNetwork({ conditions: conditionsOf(2) });
  const settings = {
    network,
    steps,
    cooldown,
    batch: 32,
    rate: 1.5e-3,
    seed,
    levels: [-7, 14] as const,
    mixing: 'record' as const,
  };
  const run = { patience: null, every: 200, device: 'cpu' as const, threads };
  const trained = await trainDenoiser(
    train,
    validation,
    { ...settings, ...run },
    {
      progress({ step, loss, validation: found, secondsLeft }) {
        if (found) {
          console.log(
            step,
            loss.toFixed(4),
            `${found.snrIn.toFixed(2)} -> ${found.snrOut.toFixed(2)} dB`,
            `${secondsLeft.toFixed(0)} s left`,
          );
        }
      },
    },
  );
  const card = studyCard({
    seed,
    steps: trained.steps,
    cooldown,
    cpuSeconds: trained.cpuSeconds,
    validations: trained.validations,
  });
  const model = await finishModel({
    network,
    weights: trained.weights,
    validation,
    train,
    units,
    card,
    steps: trained.steps,
    device: 'cpu',
    threads,
  });
  mkdirSync(out, { recursive: true });
  await writeEcgModel(out, model);
  console.log(`wrote ${out}`);
}

export const studyCard = (training: Record<string, unknown>): Record<string, unknown> => ({
  name: 'Two-lead denoiser, depth 1, behind a high-pass of 0.67 Hz and before a gate',
  not_a_medical_device:
    'This model is not a medical device. It may remove or invent waves; look at the recording as it came.',
  data: 'MIT-BIH Arrhythmia Database and MIT-BIH Noise Stress Test Database (PhysioNet, ODC-By 1.0)',
  split: {
    by: 'patient; noise recordings in time',
    train: TRAIN,
    validation: VALIDATION,
    test: TEST,
    noise: 'samples 0 to 260,000 trained on, to 325,000 validated on, from 325,000 tested on',
  },
  training: { batch: 32, rate: 1.5e-3, levels_db: [-7, 14], ...training },
  limits:
    'Learned from six people, adults with two leads at 360 Hz; other leads and rates work by resampling and are less known.',
});
