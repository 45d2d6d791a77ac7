/**
 * `npm run bench -- directions [--torch DIR] [--rounds 5]`: all candidates of a refusal direction on a random Llama of 40 million
 * parameters (12 blocks, 5 positions, 128 + 128 prompts learned from and 32 + 32 checked, of 64 tokens) against the same
 * scoring with hooks in transformers; a sweep's answers generated together against one by one; and what steering costs.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { steeringEdits } from '../../gpu-worker/directions/reflection/steering.ts';
import { type ScoredCandidate, scoreCandidates } from '../../gpu-worker/directions/refusal/candidate-scores.ts';
import { type Candidate, candidateDirections } from '../../gpu-worker/directions/refusal/candidates.ts';
import { generateInBatches } from '../../gpu-worker/lm/generation/generate-batches.ts';
import { type LanguageModel, loadModel } from '../../gpu-worker/lm/inference/model.ts';
import { saveFolder } from '../../gpu-worker/lm/weights/save.ts';
import { stream } from '../../shared/math/random.ts';
import { listWeights } from '../../shared/models/architecture.ts';
import { familyOf, parseArchitecture } from '../../shared/models/describe.ts';
import { interleaved, ratios, rest, type Summary, show, summary, timed } from './pairs.ts';
import { Torch } from './torch/process.ts';

const [THREADS, SEQ, TOKEN] = [2, 64, 3];
const POSITIONS = [-5, -4, -3, -2, -1];
/** Those at which PyTorch scores too: all five take it a quarter of an hour. */
const COMPARED = [-4, -1];
/** Answers of a sweep: alphas at each layer, prompts of each point, and tokens of an answer. */
const [ALPHAS, LAYERS, PROMPTS, ANSWER] = [16, [3, 6, 9], 64, 16];
type Line = { what: string; ours: Summary; unit: string; against: string; ratio: Summary | null; wanted: number };

/** 12 blocks of width 512 with random weights, 160 MB. */
function llama(folder: string): void {
  const config = {
    ...{ model_type: 'llama', vocab_size: 2000, hidden_size: 512, intermediate_size: 1376, num_hidden_layers: 12 },
    ...{ num_attention_heads: 8, max_position_embeddings: 512, rms_norm_eps: 1e-5, tie_word_embeddings: false },
  };
  const a = parseArchitecture(config);
  const shapes = new Map(listWeights(familyOf('llama').weights(a)).map(({ name, shape }) => [name, shape]));
  const values = (name: string) => {
    const shape = shapes.get(name)!;
    const size = shape.reduce((product, n) => product * n, 1);
    return shape.length === 1
      ? new Float32Array(size).fill(1)
      : stream(1, name).normal32(size, { deviation: name.includes('embed') ? 1 : 0.03 });
  };
  saveFolder(folder, a, values, { config: { ...config, architectures: ['LlamaForCausalLM'] } });
}

const prompts = (count: number, shift: number): { ids: number[] }[] =>
  Array.from({ length: count }, (_, r) => ({
    ids: Array.from({ length: SEQ }, (_, i) => (r * 31 + i * 17 + 5 + shift * (r + i)) % 2000),
  }));

export async function run(argv: string[]): Promise<void> {
  const { values } = parseArgs({
    args: argv,
    options: { torch: { type: 'string' }, rounds: { type: 'string', default: '5' } },
  });
  const folder = join(tmpdir(), `sextant-bench-directions-${process.pid}`);
  llama(folder);
  const lines: Line[] = [];
  const line = (one: Line) => {
    lines.push(one);
    const { what, ours, unit, against, ratio, wanted } = one;
    console.log(
      `${what}: ${show(ours, 1)} ${unit}; ${ratio ? show(ratio, 3) : 'not'} of ${against} (wanted ${wanted})`,
    );
  };
  try {
    const model = await loadModel(folder, { threads: THREADS });
    const theirs = values.torch
      ? await Torch.start(join(import.meta.dirname, 'directions', 'hooks.py'), values.torch, THREADS, folder)
      : null;
    line(await candidates(model, theirs));
    theirs?.stop();
    line(await sweep(model));
    line(await steering(model, Number(values.rounds)));
    await model.release();
    const results = join(import.meta.dirname, 'results');
    mkdirSync(results, { recursive: true });
    const host = { cpu: cpus()[0]?.model, threads: THREADS, torch: theirs?.version ?? null };
    writeFileSync(join(results, 'directions.json'), `${JSON.stringify({ host, lines }, null, 1)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The means, then the 12 candidates of one position after another. The other side, whose work is the same at every position, scores
 * only those of `COMPARED`, each in turn with ours; its time for all is that of the means and of these, times five halves.
 * @throws Error where the two sides' scores differ
 */
async function candidates(model: LanguageModel, theirs: Torch | null): Promise<Line> {
  const sets = { harmful: prompts(128, 0), harmless: prompts(128, 3) };
  const checked = { harmful: sets.harmful.slice(0, 32), harmless: sets.harmless.slice(0, 32), tokens: [TOKEN] };
  const asked = async (what: string) => {
    await rest();
    return (await theirs?.ask(what)) ?? { seconds: Number.NaN, answer: '' };
  };
  await scoreCandidates(model, [{ position: -1, layer: 0, vector: new Float64Array(512).fill(1) }], checked);
  let found: Candidate[] = [];
  await rest();
  const means =
    (await timed(async () => ({ candidates: found } = await candidateDirections(model, sets, POSITIONS)))) / 1000;
  const theirMeans = (await asked('derive')).seconds;
  const scored: ScoredCandidate[] = [];
  const [ours, both, other]: [number[], number[], number[]] = [[], [], []];
  for (const [p, position] of POSITIONS.entries()) {
    const own = found.filter((candidate) => candidate.position === position);
    await rest();
    ours.push((await timed(async () => scored.push(...(await scoreCandidates(model, own, checked))))) / 1000);
    if (theirs && COMPARED.includes(position)) {
      const { seconds, answer } = await asked(`score ${p}`);
      requireSameScores(scored.slice(-own.length), JSON.parse(answer) as number[][]);
      both.push(ours.at(-1)!);
      other.push(seconds);
    }
  }
  const total = (seconds: readonly number[]) => seconds.reduce((sum, value) => sum + value, 0);
  const whole = means + total(ours);
  const theirWhole = theirMeans + (POSITIONS.length / COMPARED.length) * total(other);
  return {
    what: `${scored.length} candidates with their means`,
    ours: summary([whole]),
    unit: 's',
    against: `transformers with hooks (${COMPARED.length} of ${POSITIONS.length} positions: ${other.map((s) => s.toFixed(1)).join(', ')} s)`,
    ratio: theirs ? { ...summary(ratios(both, other)), median: whole / theirWhole } : null,
    wanted: 0.7,
  };
}

/** Both sides score in float32, along different ways. */
function requireSameScores(ours: readonly ScoredCandidate[], theirs: readonly (readonly number[])[]): void {
  for (const [i, { position, layer, bypass, induce, kl }] of ours.entries()) {
    const gap = Math.max(...[bypass, induce, kl].map((value, j) => Math.abs(value - theirs[i]![j]!)));
    if (!(gap < 5e-3)) {
      throw new Error(`scores of position ${position}, block ${layer} differ by ${gap}`);
    }
  }
}

/** Points of a sweep: all prompts of a point together, as sweeps do it, against each by itself; one point per layer. */
async function sweep(model: LanguageModel): Promise<Line> {
  const asked = prompts(PROMPTS, 1).map(({ ids }) => ids.slice(0, 32));
  const vector = stream(2, 'vector').normal(model.architecture.width);
  const [together, single]: [number[], number[]] = [[], []];
  for (const layer of LAYERS) {
    const settings = { mode: 'proj_unit' as const, alpha: 0.5, vector, centre: null };
    const interventions = steeringEdits(`resid_post.${layer}`, settings);
    const options = { maxTokens: ANSWER, stopTokens: [], interventions };
    const answers = (rows: number, count = PROMPTS) =>
      timed(() => generateInBatches(model, asked.slice(0, count), options, { rows }));
    await answers(PROMPTS);
    await rest();
    together.push(await answers(PROMPTS));
    await answers(1, 4);
    await rest();
    single.push(await answers(1));
  }
  return {
    what: `a point of a sweep of ${ALPHAS} alphas x ${LAYERS.length} layers: ${PROMPTS} answers of ${ANSWER} tokens together`,
    ours: summary(together),
    unit: 'ms',
    against: 'one by one',
    ratio: summary(ratios(together, single)),
    wanted: 0.5,
  };
}

/** Processor time of decoding with a projection at one layer against decoding without. */
async function steering(model: LanguageModel, rounds: number): Promise<Line> {
  const ids = [prompts(1, 1)[0]!.ids.slice(0, 16)];
  const vector = stream(2, 'vector').normal(model.architecture.width);
  const settings = { mode: 'proj_unit' as const, alpha: 0.5, vector, centre: null };
  const decode = (interventions: ReturnType<typeof steeringEdits>) => () =>
    timed(() => generateInBatches(model, ids, { maxTokens: 64, stopTokens: [], interventions }));
  const times = await interleaved(2 * rounds, {
    plain: decode([]),
    steered: decode(steeringEdits('resid_post.6', settings)),
  });
  return {
    what: 'steered decoding',
    ours: summary(times.steered!.map((ms) => (64 / ms) * 1000)),
    unit: 'tokens/s',
    against: 'the time of plain decoding',
    ratio: summary(ratios(times.steered!, times.plain!)),
    wanted: 1.03,
  };
}
