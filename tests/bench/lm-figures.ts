/**
 * `npm run bench -- lm-figures [--torch DIR] [--stories 25]`: what the pretrained models say and how well they predict,
 * what zeroing one layer costs, how much memory loading takes, and, where DIR holds transformers, that a model trained
 * here opens there with equal logits.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repeated } from '../../gpu-worker/lm/corpus/sequences.ts';
import { crossEntropy } from '../../gpu-worker/lm/evaluate.ts';
import { generate } from '../../gpu-worker/lm/generation/generate.ts';
import type { Intervention } from '../../gpu-worker/lm/inference/interventions.ts';
import { loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { trainLanguageModel } from '../../gpu-worker/lm/training/train.ts';
import { data } from '../support/guide.ts';
import { generatedLlama } from './lm/generated.ts';

/** ASCII stories with single newlines, which is what the story models were trained on. */
function stories(count: number): string[] {
  const all = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
  const ascii = all.filter((story) => [...story].every((character) => character.codePointAt(0)! < 128));
  return ascii.slice(0, count).map((story) => story.replace(/\n+/g, '\n'));
}

async function pretrained(name: string, count: number) {
  const model = await loadModel(data('models', name), { threads: 2 });
  const ids = stories(count).map((story) => model.tokenizer!.encode(story).slice(0, 512));
  const plain = await crossEntropy(model, ids, { batch: 4 });
  const { layers, width } = model.architecture;
  const zero = (kind: string, layer: number) => ({
    kind: 'replace' as const,
    hook: `${kind}.${layer}`,
    values: new Float32Array(width),
  });
  const lossWith = async (interventions: Intervention[]) =>
    (await crossEntropy(model, ids.slice(0, 5), { batch: 4, interventions })).loss;
  const zeroed: number[] = [];
  const skipped: number[] = [];
  for (let layer = 0; layer < layers; layer++) {
    zeroed.push(await lossWith([zero('resid_post', layer)]));
    skipped.push(await lossWith([zero('attn_out', layer), zero('mlp_out', layer)]));
  }
  const [story] = await generate(model, [[model.tokenizer!.bos!]], { maxTokens: 120 });
  await model.release();
  return {
    model: name,
    ...plain,
    loss_with_residual_zeroed: zeroed,
    loss_without_what_the_layer_adds: skipped,
    story: story!.text,
  };
}

const MEMORY = `
import { readFileSync } from 'node:fs';
const peak = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
const { loadModel } = await import(process.argv[1]);
const bare = peak();
const model = await loadModel(process.argv[2], { threads: 2 });
await model.forward({ ids: [[1, 2, 3]], logits: 'last' });
console.log(JSON.stringify({ file_mib: model.folder.bytes / 2 ** 20, peak_above_bare_mib: peak() - bare }));
`;

/** Peak memory of a fresh process that loads a model and runs it once. */
function memory(folder: string) {
  const module = new URL('../../gpu-worker/lm/inference/model.ts', import.meta.url).href;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', MEMORY, module, folder], {
    encoding: 'utf8',
  });
  const found = JSON.parse(child.stdout) as { file_mib: number; peak_above_bare_mib: number };
  return { ...found, ratio: found.peak_above_bare_mib / found.file_mib };
}

const STREAM = `
import { readFileSync } from 'node:fs';
const [, lm, folder, sequences] = process.argv;
const { loadModel } = await import(lm + 'inference/model.ts');
const { activationRows } = await import(lm + 'inference/activations.ts');
const peak = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
const model = await loadModel(folder, { threads: 2 });
function* text() {
  for (let i = 0; i < Number(sequences); i++) yield Int32Array.from({ length: 128 }, (_, j) => (i * 31 + j * 17) % 500 + 3);
}
let rows = 0;
for await (const block of activationRows(model, text(), { hook: 'resid_post.2', rows: 1024, batch: 16 })) rows += block.length / 64;
console.log(JSON.stringify({ tokens: rows, peak_mib: peak() }));
`;

/** Peak memory of streaming the activations of a corpus of so many sequences of 128 tokens. */
function streaming(sequences: number) {
  const lm = new URL('../../gpu-worker/lm/', import.meta.url).href;
  const argv = ['--input-type=module', '-e', STREAM, lm, data('models', 'stories260K-hf'), String(sequences)];
  return JSON.parse(spawnSync(process.execPath, argv, { encoding: 'utf8' }).stdout) as object;
}

const EXTRACT = `
import { readFileSync } from 'node:fs';
const [, support, extract, model, corpus, cache] = process.argv;
const { LocalJobs } = await import(support);
const { default: contract } = await import(extract);
const jobs = new LocalJobs({ threads: 2, models: { model }, corpora: { corpus }, cache });
const { result } = await jobs.run(contract, {
  model: { local: 'model' }, corpus: { local: 'corpus' }, hooks: ['resid_post.2'], context: 128, dtype: 'float16', tokens: 1e9,
});
jobs.close();
const peak = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
console.log(JSON.stringify({ tokens: result.tokens, peak_mib: peak }));
`;
/** What each line of the corpus file holds beside its story, bytes: a column that nobody asked for. */
const OTHER_COLUMN = 100_000;

/** Peak memory of the whole extraction job over a JSON-lines file of so many lines. */
function extraction(lines: number) {
  const folder = mkdtempSync(join(tmpdir(), 'sextant-extraction-'));
  try {
    const path = join(folder, 'corpus.jsonl');
    const texts = stories(200);
    const other = 'x'.repeat(OTHER_COLUMN);
    for (let i = 0; i < lines; i++) {
      appendFileSync(path, `${JSON.stringify({ other, text: texts[i % texts.length] })}\n`);
    }
    const support = new URL('../support/job-context.ts', import.meta.url).href;
    const extract = new URL('../../shared/jobs/activations.extract.ts', import.meta.url).href;
    const argv = [
      '--input-type=module',
      '-e',
      EXTRACT,
      support,
      extract,
      data('models', 'stories260K-hf'),
      path,
      folder,
    ];
    const found = JSON.parse(spawnSync(process.execPath, argv, { encoding: 'utf8' }).stdout) as object;
    return { file_mib: statSync(path).size / 2 ** 20, ...found };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const OPEN = `
import sys, json, warnings
warnings.filterwarnings('ignore')
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
ids = json.loads(sys.argv[2])
text = AutoTokenizer.from_pretrained(sys.argv[1]).decode(ids, skip_special_tokens=True)
with torch.no_grad():
    print(json.dumps({'logits': model(torch.tensor([ids])).logits[0, -1].tolist(), 'text': text}))
`;

/** Trains a small model on stories, saves it and opens it in transformers. */
async function opensElsewhere(torch: string) {
  const source = data('models', 'stories260K-hf');
  const json = JSON.parse(readFileSync(join(source, 'tokenizer.json'), 'utf8')) as object;
  const settings = JSON.parse(readFileSync(join(source, 'tokenizer_config.json'), 'utf8')) as Record<string, unknown>;
  const { tokenizer, folder } = await loadModel(source);
  const texts = stories(200);
  const tokens = texts.flatMap((text) => tokenizer!.encode(text));
  const sequences = repeated(() =>
    Array.from({ length: Math.floor(tokens.length / 65) }, (_, i) => tokens.slice(65 * i, 65 * (i + 1))),
  );
  const config = {
    ...folder.config,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
  };
  const asSequences = (async function* () {
    for await (const ids of sequences) {
      yield { ids };
    }
  })();
  const trained = await trainLanguageModel({
    from: { config },
    sequences: asSequences,
    context: 64,
    batch: 16,
    steps: 60,
  });
  const parent = mkdtempSync(join(tmpdir(), 'sextant-open-'));
  const path = join(parent, 'model');
  trained.save(path, { tokenizer: { json, config: settings } });
  const ids = tokenizer!.encode(texts[0]!).slice(0, 40);
  const mine = await loadModel(path);
  const { logits } = await mine.forward({ ids: [ids], logits: 'last' });
  await mine.release();

  const child = spawnSync('python3', ['-c', OPEN, path, JSON.stringify(ids)], {
    env: { ...process.env, PYTHONPATH: torch },
    encoding: 'utf8',
  });
  rmSync(parent, { recursive: true });
  const there = JSON.parse(child.stdout) as { logits: number[]; text: string };
  return {
    loss_first_and_last: [trained.losses[0], trained.losses.at(-1)],
    largest_logit_difference: Math.max(...there.logits.map((value, i) => Math.abs(value - logits!.data[i]!))),
    same_text: there.text === tokenizer!.decode(ids),
  };
}

export async function run(options: string[]): Promise<void> {
  const { values } = parseArgs({
    args: options,
    options: { torch: { type: 'string' }, stories: { type: 'string', default: '25' } },
  });
  const result = {
    host: { cpu: cpus()[0]?.model ?? null, node: process.version },
    models: [
      await pretrained('stories260K-hf', Number(values.stories)),
      await pretrained('bitstories3M-hf', Number(values.stories)),
    ],
    memory: memory(generatedLlama()),
    streaming: [streaming(100), streaming(2000)],
    extraction: [extraction(200), extraction(4000)],
    opened_in_transformers: values.torch ? await opensElsewhere(values.torch) : null,
  };
  console.log(JSON.stringify(result, null, 2));
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'lm-figures.json'), `${JSON.stringify(result, null, 2)}\n`);
}
