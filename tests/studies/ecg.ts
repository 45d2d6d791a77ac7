/**
 * `npm run study -- ecg train|fit|evaluate|ablations|flags|memory|classical|picture [options]`: trains the denoiser on the records of the study (`--seed`,
 * `--steps`, `--depth`, `--kernels`, `--embed`, `--separate`, `--consistency`, `--threads`, `--out DIR`; goes on from the
 * state in DIR), fits its gate anew (`--model DIR`), measures models
 * beside the classical lines on records of other people (`--model DIR`, several for a spread; `--samples N`), counts what
 * the flags find, measures the memory that a record of `--hours` takes, or the classical lines alone, or draws ten seconds
 * of a test record. Results are written to `results/ecg*.json` and `.md`, the picture to `results/ecg.svg`.
 * `npm run study -- ecg --protocol qtdb --records DIR [--annotator pu1] [--steps N]`: the published tables for
 * a folder of QT Database records.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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
import { type NetworkConfiguration, readNetwork, standardNetwork } from '../../gpu-worker/ecg/network/configuration.ts';
import { finishModel } from '../../gpu-worker/ecg/training/finish.ts';
import { packState, unpackState } from '../../gpu-worker/ecg/training/state.ts';
import { type TrainingState, trainDenoiser } from '../../gpu-worker/ecg/training/train.ts';
import { readArrays, type StoredArrays, writeArrays } from '../../gpu-worker/training/index.ts';
import { type AblationResults, ablationMarkdown, ablationStudy } from './ecg/ablations.ts';
import { classicalMarkdown, classicalStudy } from './ecg/classical.ts';
import { evaluateStudy, type StudyResults } from './ecg/evaluate.ts';
import { flagStudy, flagsMarkdown } from './ecg/flags.ts';
import { studyMaterial, TEST, TRAIN, VALIDATION } from './ecg/material.ts';
import { memoryMarkdown, memoryStudy } from './ecg/memory.ts';
import { pictureStudy } from './ecg/picture.ts';
import { qtdbMarkdown, qtdbStudy, studyWander } from './ecg/qtdb/study.ts';
import { markdown } from './ecg/report.ts';

export async function run(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '0' },
      steps: { type: 'string', default: '3000' },
      threads: { type: 'string', default: '2' },
      out: { type: 'string', default: SHIPPED_MODEL },
      model: { type: 'string', multiple: true, default: [SHIPPED_MODEL] },
      samples: { type: 'string', default: '300000' },
      seeds: { type: 'string', default: '3' },
      hours: { type: 'string', default: '24' },
      depth: { type: 'string', default: '1' },
      kernels: { type: 'string', default: '1,3,5,7' },
      embed: { type: 'string', default: 'channel' },
      separate: { type: 'string', default: 'inverse' },
      consistency: { type: 'boolean', default: false },
      protocol: { type: 'string' },
      records: { type: 'string' },
      annotator: { type: 'string', default: 'pu1' },
    },
  });
  const threads = Number(values.threads);
  if (values.protocol === 'qtdb') {
    const { records, annotator } = values;
    if (!records) {
      throw new Error('--records DIR names the folder of QT Database records');
    }
    const training = { steps: Number(values.steps), batch: 64, seed: Number(values.seed), threads };
    const results = await qtdbStudy({ records, wander: await studyWander(), annotator, ...training });
    console.log(qtdbMarkdown(results));
  } else if (positionals[0] === 'train') {
    const network = readNetwork(
      standardNetwork({
        conditions: conditionsOf(2),
        depth: Number(values.depth),
        kernels: values.kernels.split(',').map(Number),
        embed: values.embed as NetworkConfiguration['embed'],
        separate: values.separate as NetworkConfiguration['separate'],
      }),
    );
    const { consistency, out } = values;
    await train({ network, consistency, seed: Number(values.seed), steps: Number(values.steps), threads, out });
  } else if (positionals[0] === 'fit') {
    const { document, weights } = await modelIn(values.model[0]!);
    const { train, validation, units } = await studyMaterial();
    const { network, card } = document;
    const steps = (card.training as { steps: number }).steps;
    const finishing = { network, weights, validation, train, units, card, steps, device: 'cpu' as const, threads };
    mkdirSync(values.out, { recursive: true });
    await writeEcgModel(values.out, await finishModel(finishing));
  } else if (positionals[0] === 'evaluate') {
    const models = await Promise.all(values.model.map(modelIn));
    // Written after every record: what was measured is there when the rest is interrupted.
    const { depth } = models[0]!.document.network;
    const name = depth === 1 ? 'ecg' : `ecg-depth${depth}`;
    const report = (results: StudyResults) => writeResults(name, results, markdown(results));
    await evaluateStudy(models, { samples: Number(values.samples), threads, report });
  } else if (positionals[0] === 'ablations') {
    const report = (results: AblationResults) => writeResults('ecg-ablations', results, ablationMarkdown(results));
    const [seeds, steps] = [Number(values.seeds), Number(values.steps)];
    await ablationStudy({ seeds, steps, threads, last: readResults('ecg-ablations'), report });
  } else if (positionals[0] === 'flags') {
    const model = await modelIn(values.model[0]!);
    const seconds = Math.min(120, Math.floor(Number(values.samples) / 360));
    const results = await flagStudy(model, { seconds, threads });
    // The card says what its flags are worth.
    const card = { ...model.document.card, flags: results };
    await writeEcgModel(values.model[0]!, { ...model, document: { ...model.document, card } });
    writeResults('ecg-flags', results, flagsMarkdown(results, seconds));
  } else if (positionals[0] === 'memory') {
    const results = memoryStudy(Number(values.hours));
    writeResults('ecg-memory', results, memoryMarkdown(results));
  } else if (positionals[0] === 'classical') {
    const results = await classicalStudy(Number(values.samples));
    writeResults('ecg-classical', results, classicalMarkdown(results));
  } else if (positionals[0] === 'picture') {
    const svg = await pictureStudy(await modelIn(values.model[0]!), threads);
    writeFileSync(join(import.meta.dirname, 'results/ecg.svg'), svg);
  } else {
    console.error('usage: study -- ecg train|fit|evaluate|ablations|flags|memory|classical|picture [options]');
    process.exit(2);
  }
}

function readResults<T>(name: string): T | null {
  const path = join(import.meta.dirname, 'results', `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : null;
}

function writeResults(name: string, results: unknown, page: string): void {
  const folder = join(import.meta.dirname, 'results');
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(folder, `${name}.md`), page);
  console.log(page);
}

const modelIn = (folder: string) => readEcgModel(join(folder, CONFIG_FILE), join(folder, WEIGHTS_FILE));

type Training = {
  network: NetworkConfiguration;
  consistency: boolean;
  seed: number;
  steps: number;
  threads: number;
  out: string;
};

async function train({ network, consistency, seed, steps, threads, out }: Training): Promise<void> {
  const { train, validation, units } = await studyMaterial();
  const settings = {
    network,
    consistency,
    steps,
    batch: 32,
    rate: 1.5e-3,
    seed,
    levels: [-7, 14] as const,
    mixing: 'record' as const,
  };
  const run = { patience: null, every: 250, device: 'cpu' as const, threads };
  const last = await loadState(out);
  let validated = false;
  const began = cpuSeconds();
  const trained = await trainDenoiser(
    train,
    validation,
    { ...settings, ...run },
    {
      ...(last && { resume: last.state }),
      async checkpoint(take) {
        if (validated) {
          validated = false;
          await saveState(out, await take(), (last?.cpuSeconds ?? 0) + cpuSeconds() - began);
        }
      },
      progress({ step, loss, validation: found, secondsLeft }) {
        if (found) {
          validated = true;
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
    network,
    consistency,
    seed,
    steps: trained.steps,
    cpuSeconds: (last?.cpuSeconds ?? 0) + trained.cpuSeconds,
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

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const stateFolder = (out: string): string => join(out, 'state');

/** The state of a training beside its model, so that it can go on, with more or fewer steps in all. */
async function saveState(out: string, state: TrainingState, seconds: number): Promise<void> {
  const { tensors, ...training } = packState(state);
  const files = await writeArrays(stateFolder(out), tensors as StoredArrays);
  writeFileSync(join(stateFolder(out), 'state.json'), JSON.stringify({ training, files, cpuSeconds: seconds }));
}

async function loadState(out: string): Promise<{ state: TrainingState; cpuSeconds: number } | null> {
  const path = join(stateFolder(out), 'state.json');
  if (!existsSync(path)) {
    return null;
  }
  const { training, files, cpuSeconds: seconds } = JSON.parse(readFileSync(path, 'utf8'));
  const tensors = await readArrays(files.map((name: string) => join(stateFolder(out), name)));
  return { state: unpackState({ ...training, tensors }), cpuSeconds: seconds };
}

const studyCard = ({
  network,
  ...training
}: { network: NetworkConfiguration } & Record<string, unknown>): Record<string, unknown> => ({
  name: `Two-lead denoiser, depth ${network.depth}, behind a high-pass of 0.67 Hz and before a gate`,
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
