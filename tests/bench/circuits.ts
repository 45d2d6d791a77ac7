/**
 * `npm run bench -- circuits [--torch DIR] [--rounds 5]`: a random GPT-2 of the small shape, 32 pairs of 16 tokens. Scores of all
 * edges against the same algorithm with hooks in transformers, five steps of integrated gradients against one, exact patching of
 * all heads and MLPs against one run of PyTorch for each; and the memory that scores of edges take.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EdgeAttribution, nodeModel, TaskRuns } from '../../gpu-worker/circuits/index.ts';
import { loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import { memoryOf } from './circuits/memory.ts';
import { BATCH, benchPairs, SEQ } from './circuits/pairs.ts';
import { interleaved, ratios, type Summary, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

const THREADS = 2;
type Line = { what: string; ms: Summary; against: string; ratio: Summary | null; wanted: number };

/** GPT-2 small with random weights, 498 MB. */
function smallGpt2(folder: string): void {
  const config = { model_type: 'gpt2', vocab_size: 50_257, n_positions: 1024, n_embd: 768, n_layer: 12, n_head: 12 };
  const a = parseArchitecture(config);
  const shapes = new Map(listWeights(familyOf('gpt2').weights(a)).map(({ name, shape }) => [name, shape]));
  saveFolder(
    folder,
    a,
    (name) => {
      const shape = shapes.get(name)!;
      const size = shape.reduce((product, n) => product * n, 1);
      if (/ln_(1|2|f)\.weight$/.test(name)) {
        return new Float32Array(size).fill(1);
      }
      return stream(1, name).normal32(size, { deviation: shape.length === 1 ? 0.01 : 0.02 });
    },
    { config },
  );
}

export async function run(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: { torch: { type: 'string' }, rounds: { type: 'string', default: '5' } },
  });
  const rounds = Number(values.rounds);
  const folder = join(tmpdir(), `sextant-bench-gpt2-${process.pid}`);
  smallGpt2(folder);
  try {
    const memory = memoryOf(folder, THREADS);
    console.log(
      `memory of scores above the loaded model: ${(memory.above / 2 ** 20).toFixed(0)} MiB, ${memory.ratio.toFixed(2)} of the activations at the hooked sites (wanted 1.5)`,
    );
    const lines: Line[] = [];
    const line = (one: Line) => {
      lines.push(one);
      const { what, ms, against, ratio, wanted } = one;
      console.log(`${what}: ${show(ms, 0)} ms; ${ratio ? show(ratio, 2) : 'not'} of ${against} (wanted ${wanted})`);
    };
    const model = await loadModel(folder, { threads: THREADS });
    const nodes = nodeModel(model);
    const pairs = benchPairs(model.architecture.vocabulary);
    const theirs = values.torch
      ? await Torch.start(join(import.meta.dirname, 'circuits', 'hooks.py'), values.torch, THREADS, folder)
      : null;
    const measured = (what: string) => async () => 1000 * (await theirs!.measure(what));
    const attribution = await EdgeAttribution.open(nodes, 'logit_difference', THREADS);
    const eap = () => timed(() => attribution.scores(pairs, { kind: 'eap' }));
    const ig = () => timed(() => attribution.scores(pairs, { kind: 'eap_ig', steps: 5, between: 'inputs' }));
    const first = await interleaved(rounds, { eap, ig, ...(theirs && { theirs: measured('eap') }) });
    await attribution.release();
    line({
      what: 'scores of all edges',
      ms: summary(first.eap!),
      against: 'transformers with hooks',
      ratio: first.theirs ? summary(ratios(first.eap!, first.theirs)) : null,
      wanted: 0.8,
    });
    line({
      what: 'five steps of integrated gradients',
      ms: summary(first.ig!),
      against: 'one step here',
      ratio: summary(ratios(first.ig!, first.eap!)),
      wanted: 5.5,
    });
    const sources = nodes.graph.sources.map((_, source) => source).filter((source) => source > 0);
    const exact = async () => {
      const runs = new TaskRuns({
        nodes,
        pairs,
        metric: 'logit_difference',
        ablation: 'patch',
        batch: BATCH,
        positions: null,
        threads: THREADS,
      });
      try {
        return await timed(() => runs.patchedSources(sources));
      } finally {
        await runs.release();
      }
    };
    const second = await interleaved(Math.max(2, Math.ceil(rounds / 2)), {
      exact,
      ...(theirs && { theirs: measured('exact') }),
    });
    line({
      what: 'exact patching of 144 heads and 12 MLPs',
      ms: summary(second.exact!),
      against: 'one run each in PyTorch',
      ratio: second.theirs ? summary(ratios(second.exact!, second.theirs)) : null,
      wanted: 0.5,
    });
    theirs?.stop();
    await model.release();
    const results = join(import.meta.dirname, 'results');
    mkdirSync(results, { recursive: true });
    const host = { cpu: cpus()[0]?.model, threads: THREADS, torch: theirs?.version ?? null };
    const shape = { edges: nodes.graph.edgeCount, pairs: BATCH, tokens: SEQ, rounds };
    writeFileSync(join(results, 'circuits.json'), `${JSON.stringify({ host, shape, lines, memory }, null, 1)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
