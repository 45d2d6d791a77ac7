/**
 * The mechanics of both studies on the story models, which neither refuse nor reflect: what the jobs say of that, the job with a
 * pronoun in the place of a refusal, and directions and steering with "and" in the place of a reflection.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layersOf } from '../../../gpu-worker/directions/reflection/layers.ts';
import type { Text } from '../../../gpu-worker/directions/reflection/positions.ts';
import { steeringEdits } from '../../../gpu-worker/directions/reflection/steering.ts';
import { merged, scaledWriters } from '../../../gpu-worker/directions/refusal/weight-edits.ts';
import { lastLogits } from '../../../gpu-worker/directions/rows.ts';
import { loadModel, tokenSetProbability, writeEditedFolder } from '../../../gpu-worker/lm/index.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import type { ResultOf } from '../../../shared/jobs/contract.ts';
import reflection from '../../../shared/jobs/reflection.study.ts';
import refusal from '../../../shared/jobs/refusal.study.ts';
import { data } from '../../support/guide.ts';
import { LocalJobs } from '../../support/job-context.ts';

export const STORY_MODELS = ['stories260K', 'bitstories3M'];
/** Of what each writer writes along the direction, in the copy that is mended afterwards. */
const GAMMA = 0.4;

export type RefusalMechanics = {
  model: string;
  /** What the job says where it is asked for a refusal. */
  said: string;
  study: ResultOf<typeof refusal>;
  /** Largest difference of logits after a prompt, of the base and of the copy with 1 / gamma times what it writes. */
  mended: number;
};
export type ReflectionMechanics = {
  model: string;
  said: string;
  /** Before an "and" of stories, and elsewhere at the same token. */
  places: { reflecting: number; other: number };
  hook: string;
  /** Held-out areas under the curve, by layer. */
  areas: number[];
  /** The furthest from a half of 20 directions of shuffled labels. */
  null_furthest: number;
  /** Mean probability of "and" at held-out places. */
  points: { mode: SteeringMode; alpha: number; p: number }[];
  /** Largest difference of logits between proj_raw at alpha / |v|^2 and proj_unit at alpha. */
  raw_gap: number;
};
const POINTS: readonly [SteeringMode, number][] = [
  ['add', 0],
  ['add', -1],
  ['add', 1],
  ['proj_unit', -1],
  ['proj_unit', 1],
];

/** The reason that a job gives for finding nothing. */
async function refusedBy(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SextantError) {
      return error.message;
    }
    throw error;
  }
  throw new Error('a story model was taken for one that refuses or reflects');
}

/** Prompts about Lily, to which the model goes on with She, and about Tim. */
function pronounPrompts(pronoun: string): { text: string; split: string }[] {
  const lines = readFileSync(data('text', 'pronouns', 'pairs.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const pairs = lines.map((line) => JSON.parse(line) as { clean: string; answer: string });
  return pairs
    .filter(({ answer }) => answer === pronoun)
    .map(({ clean }, i) => ({
      text: clean.replace(/\.$/, ''),
      split: i < 24 ? 'train' : i < 40 ? 'validation' : 'test',
    }));
}

export async function refusalMechanics(name: string, threads: number): Promise<RefusalMechanics> {
  const models: Record<string, string> = { [name]: data('models', `${name}-hf`) };
  const jobs = new LocalJobs({ models, threads });
  const base = await loadModel(models[name]!, { threads, spinning: false });
  try {
    const asked = {
      model: { local: name },
      harmful: { texts: pronounPrompts('She') },
      harmless: { texts: pronounPrompts('He') },
      template: { before: '', after: '.' },
      filter: false,
      rule: 'lowest_bypass',
      max_tokens: 4,
    };
    const said = await refusedBy(jobs.run(refusal, { ...asked, refusal_tokens: ['I'] }));
    const standing = { ...asked, refusal_tokens: ['She'] };
    const first = (await jobs.run(refusal, standing)).result;
    const { blobs } = jobs.published.get(first.vector)!;
    const vector = new Float32Array(Uint8Array.from(jobs.read(blobs[0]!)).buffer);
    const size = Math.hypot(...vector);
    const unit = vector.map((value) => value / size);
    models.weak = join(jobs.folder, 'weak');
    writeEditedFolder(base.folder, models.weak, merged(base.folder, scaledWriters(base.folder, unit, GAMMA)).weights);
    const copies = [{ label: `attenuated to ${GAMMA}`, model: { local: 'weak' } }];
    const { result } = await jobs.run(refusal, { ...standing, copies });
    const weak = await loadModel(models.weak, { threads, spinning: false });
    const mended = weak.withSidePaths(scaledWriters(weak.folder, unit, 1 / GAMMA));
    const rows = pronounPrompts('She').map(({ text }) => ({ ids: base.tokenizer!.encode(`${text}.`) }));
    const [plain, back] = [await lastLogits(base, rows), await lastLogits(mended, rows)];
    await weak.release();
    const gap = plain.reduce((most, value, i) => Math.max(most, Math.abs(value - back[i]!)), 0);
    return { model: name, said, study: result, mended: gap };
  } finally {
    await base.release();
    jobs.close();
  }
}

/** Stories that the direction is learned from and held out, and tokens of each. */
const [LEARNED, HELD_OUT, TOKENS] = [150, 80, 120];

export async function reflectionMechanics(name: string, threads: number): Promise<ReflectionMechanics> {
  const folder = data('models', `${name}-hf`);
  const jobs = new LocalJobs({ models: { [name]: folder }, threads });
  const model = await loadModel(folder, { threads, spinning: false });
  try {
    const stories = JSON.parse(readFileSync(data('text', 'tinystories', 'tinystories_1000.json'), 'utf8')) as string[];
    const openings = new Set(stories.map((story) => story.split(/\s+/).slice(0, 8).join(' ')));
    const said = await refusedBy(
      jobs.run(reflection, {
        model: { local: name },
        problems: { texts: [...openings].slice(0, 60).map((text) => ({ text, answer: '1' })) },
        template: { before: '', after: '' },
        max_tokens: 24,
      }),
    );
    const tokenizer = model.tokenizer!;
    const and = tokenizer.encode('sun and', { special: false }).at(-1)!;
    const texts = stories.map((story): Text => ({ ids: tokenizer.encode(story).slice(0, TOKENS), from: 1 }));
    const parts = { train: texts.slice(0, LEARNED), held_out: texts.slice(LEARNED, LEARNED + HELD_OUT) };
    const options = { triggers: new Set([and]), lookAhead: 8, shuffles: 20, seed: 0, unembedding: [] };
    const found = await layersOf(
      model,
      null,
      { ...parts, transfer: null },
      { ...options, estimator: 'difference_in_means' },
    );
    const best = [...found.layers].sort((x, y) => y.auc.difference_in_means - x.auc.difference_in_means)[0]!;
    const { vector } = found.vectors.get(best.hook)!;
    const { reflecting, other } = found.places.held_out;
    const rows = [...reflecting.slice(0, 40), ...other.slice(0, 40)].map(({ text, at }) => ({
      ids: parts.held_out[text]!.ids.slice(0, at + 1),
    }));
    const settings = { vector, centre: null };
    const after = async (mode: SteeringMode, alpha: number) => {
      const logits = await lastLogits(model, rows, () => steeringEdits(best.hook, { ...settings, mode, alpha }));
      const p = tokenSetProbability(logits, model.architecture.vocabulary, [and]);
      return { logits, p: p.reduce((sum, value) => sum + value, 0) / p.length };
    };
    const points = [];
    for (const [mode, alpha] of POINTS) {
      points.push({ mode, alpha, p: (await after(mode, alpha)).p });
    }
    const size = Math.hypot(...vector);
    const [raw, unit] = [await after('proj_raw', 0.5 / size ** 2), await after('proj_unit', 0.5)];
    const gap = raw.logits.reduce((most, value, i) => Math.max(most, Math.abs(value - unit.logits[i]!)), 0);
    return {
      model: name,
      said,
      places: { reflecting: found.places.train.reflecting.length, other: found.places.train.other.length },
      hook: best.hook,
      areas: found.layers.map(({ auc }) => auc.difference_in_means),
      null_furthest: best.null.furthest,
      points,
      raw_gap: gap,
    };
  } finally {
    await model.release();
    jobs.close();
  }
}
