/** Refusal directions and the edits that follow from them, on a model and a pruned copy of it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readSafetensors, type Safetensors } from '../../../shared/formats/safetensors.ts';
import { lowest, masked, outIn, scores } from '../../compression/index.ts';
import { unitVector } from '../../directions/difference-in-means.ts';
import { scoreCandidates } from '../../directions/refusal/candidate-scores.ts';
import { candidateDirections, type Source } from '../../directions/refusal/candidates.ts';
import { ablation, addition } from '../../directions/refusal/interventions.ts';
import { type RepairVariant, repairPaths } from '../../directions/refusal/repair-edits.ts';
import { refusalScores } from '../../directions/refusal/scores.ts';
import { selectCandidate } from '../../directions/refusal/selection.ts';
import { ablatedWeights, merged, writersOf } from '../../directions/refusal/weight-edits.ts';
import { lastLogits, type Row } from '../../directions/rows.ts';
import { cosine, norm } from '../../directions/vectors.ts';
import {
  type LanguageModel,
  linearsOf,
  loadModel,
  readWeight,
  type SidePath,
  writeEditedFolder,
} from '../../lm/index.ts';
import { type Device, differences, type Report } from '../report.ts';

const promptsSchema = z.array(z.array(z.number().int()).min(1)).min(1);
const sourceSchema = z.looseObject({ position: z.number().int(), layer: z.number().int() });
const placesSchema = z.array(z.tuple([z.number().int(), z.number().int()]));
const schema = z.looseObject({
  model: z.string(),
  positions: z.array(z.number().int()).min(1),
  refusal_tokens: z.array(z.number().int()).min(1),
  prompts: z.looseObject({
    harmful_train: promptsSchema,
    harmless_train: promptsSchema,
    harmful_val: promptsSchema,
    harmless_val: promptsSchema,
  }),
  candidate: sourceSchema,
  block: z.number().int(),
  alpha: z.number(),
  C: z.looseObject({ c: z.number() }),
  D: z.looseObject({ alpha: z.number() }),
  thresholds: z
    .looseObject({ depth: z.number().default(0.8), kl: z.number().default(0.1), induce: z.number().default(0) })
    .default({ depth: 0.8, kl: 0.1, induce: 0 }),
  dropped: z.record(z.string(), placesSchema),
  selected: z.tuple([z.number(), z.number()]).nullable(),
  lowest_bypass: z.tuple([z.number(), z.number()]).nullable(),
  zero_counts: z.record(z.string(), z.number()),
  cosine_base_compressed: z.number(),
  norm_ratio: z.number(),
  split_half_cosine_base: z.number(),
  post_norms: z.boolean(),
});
type Case = z.output<typeof schema>;

const rows = (prompts: readonly number[][]): Row[] => prompts.map((ids) => ({ ids }));

export async function compareRefusal(report: Report, path: string, stem: string, device: Device): Promise<void> {
  const json = schema.parse(JSON.parse(readFileSync(`${path}.json`, 'utf8')));
  const file = readSafetensors(readFileSync(`${path}.safetensors`));
  const scratch = mkdtempSync(join(tmpdir(), 'sextant-verify-'));
  const model = await loadModel(resolve(dirname(path), json.model), { device });
  try {
    await new RefusalComparison(report, stem, json, file, scratch, model, device).compare();
  } finally {
    await model.release();
    rmSync(scratch, { recursive: true });
  }
}

class RefusalComparison {
  readonly #report: Report;
  readonly #stem: string;
  readonly #json: Case;
  readonly #file: Safetensors;
  readonly #scratch: string;
  readonly #model: LanguageModel;
  readonly #device: Device;
  #folders = 0;

  constructor(
    report: Report,
    stem: string,
    json: Case,
    file: Safetensors,
    scratch: string,
    model: LanguageModel,
    device: Device,
  ) {
    this.#report = report;
    this.#stem = stem;
    this.#json = json;
    this.#file = file;
    this.#scratch = scratch;
    this.#model = model;
    this.#device = device;
  }

  async compare(): Promise<void> {
    const { positions, prompts, candidate } = this.#json;
    const sets = { harmful: rows(prompts.harmful_train), harmless: rows(prompts.harmless_train) };
    const { candidates } = await candidateDirections(this.#model, sets, positions);
    this.#item('directions', flat(candidates.map(({ vector }) => vector)), 1e-5);
    await this.#scores(candidates);
    const at = (list: typeof candidates, { position, layer }: Source) =>
      list.find((own) => own.position === position && own.layer === layer)!.vector;
    const base = at(candidates, candidate);
    await this.#interventions(base);
    const compressed = await this.#compressed();
    const own = await candidateDirections(compressed, sets, positions);
    this.#item('compressed.directions', flat(own.candidates.map(({ vector }) => vector)), 1e-5);
    await this.#repairs(compressed, base);
    await compressed.release();
    const half = (from: number, to: (n: number) => number) => {
      const part = (list: readonly Row[]) => list.slice(from === 0 ? 0 : Math.floor(list.length / 2), to(list.length));
      return candidateDirections(
        this.#model,
        { harmful: part(sets.harmful), harmless: part(sets.harmless) },
        positions,
      );
    };
    const first = await half(0, (n) => Math.floor(n / 2));
    const second = await half(1, (n) => n);
    const there = at(own.candidates, candidate);
    this.#report.item(
      `${this.#stem}/cosines`,
      [
        cosine(base, there),
        norm(there) / norm(base),
        cosine(at(first.candidates, candidate), at(second.candidates, candidate)),
      ],
      [this.#json.cosine_base_compressed, this.#json.norm_ratio, this.#json.split_half_cosine_base],
      1e-4,
    );
  }

  #item(name: string, found: ArrayLike<number>, limit: number): void {
    this.#report.item(`${this.#stem}/${name}`, found, this.#file.float32(name), limit);
  }

  async #scores(candidates: Awaited<ReturnType<typeof candidateDirections>>['candidates']): Promise<void> {
    const { prompts, refusal_tokens: tokens, thresholds, dropped } = this.#json;
    const { vocabulary, layers } = this.#model.architecture;
    const [harmful, harmless] = [rows(prompts.harmful_val), rows(prompts.harmless_val)];
    for (const [name, set] of [
      ['score.harmful_val', harmful],
      ['score.harmless_val', harmless],
    ] as const) {
      this.#item(name, refusalScores(await lastLogits(this.#model, set), vocabulary, tokens), 1e-4);
    }
    const scored = await scoreCandidates(this.#model, candidates, { harmful, harmless, tokens });
    this.#item(
      'bypass',
      scored.map(({ bypass }) => bypass),
      1e-4,
    );
    this.#item(
      'induce',
      scored.map(({ induce }) => induce),
      1e-4,
    );
    this.#item(
      'kl',
      scored.map(({ kl }) => kl),
      1e-3,
    );
    const selection = selectCandidate(scored, thresholds, layers);
    const place = (source: Source | null) => source && [source.position, source.layer];
    const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
    const exact = (name: string, equal: boolean) => this.#report.exact(`${this.#stem}/${name}`, equal);
    exact('selected', same(place(selection.selected), this.#json.selected));
    exact('lowest_bypass', same(place(selection.lowestBypass), this.#json.lowest_bypass));
    const set = (places: readonly (readonly number[])[]) => places.map(String).sort();
    exact(
      'dropped',
      same(Object.keys(dropped).sort(), Object.keys(selection.dropped).sort()) &&
        Object.entries(selection.dropped).every(([reason, sources]) =>
          same(set(sources.map(({ position, layer }) => [position, layer])), set(dropped[reason]!)),
        ),
    );
  }

  /** Logits of all positions of the first harmless validation prompt. */
  async #logits(model: LanguageModel, interventions: ReturnType<typeof ablation> = []): Promise<Float32Array> {
    const { logits } = await model.forward({ ids: [this.#json.prompts.harmless_val[0]!], interventions });
    return logits!.data;
  }

  async #withFolder<T>(
    from: LanguageModel,
    edited: ReadonlyMap<string, Float32Array>,
    visit: (model: LanguageModel) => Promise<T>,
  ): Promise<T> {
    const model = await this.#edited(from, edited);
    try {
      return await visit(model);
    } finally {
      await model.release();
    }
  }

  async #edited(from: LanguageModel, edited: ReadonlyMap<string, Float32Array>): Promise<LanguageModel> {
    const folder = join(this.#scratch, `model-${this.#folders++}`);
    writeEditedFolder(from.folder, folder, edited);
    return loadModel(folder, { device: this.#device });
  }

  async #interventions(vector: Float64Array): Promise<void> {
    const { candidate, post_norms } = this.#json;
    const { layers } = this.#model.architecture;
    const [raw, unit] = [Float32Array.from(vector), unitVector(vector)];
    this.#item('logits.base', await this.#logits(this.#model), 1e-5);
    const hooked = await this.#logits(this.#model, ablation(layers, { unit }));
    this.#item('logits.ablated_hook', hooked, 1e-5);
    const weights = await this.#withFolder(this.#model, ablatedWeights(this.#model.folder, unit), (model) =>
      this.#logits(model),
    );
    this.#item('logits.ablated_weights', weights, 1e-5);
    const { abs } = differences(hooked, weights);
    const largest = this.#file
      .float32('logits.ablated_hook')
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const key = `${this.#stem}/hook_minus_weights_ours`;
    if (post_norms) {
      this.#report.note(key, `norms follow what is written, so hooks and weights differ: by ${abs} here`);
    } else {
      this.#report.measured(key, { abs, rel: abs / largest }, 1e-4);
    }
    this.#item('logits.added_plus', await this.#logits(this.#model, addition(candidate.layer, raw)), 1e-5);
    this.#item('logits.added_minus', await this.#logits(this.#model, addition(candidate.layer, raw, -1)), 1e-5);
  }

  /** The copy with the smaller half of each linear matrix set to zero. */
  async #compressed(): Promise<LanguageModel> {
    const { folder } = this.#model;
    const { zero_counts, block } = this.#json;
    const edited = new Map<string, Float32Array>();
    let equal = true;
    const names = new Set(Object.keys(zero_counts));
    for (const { weight } of folder.weights.layers.flatMap(linearsOf)) {
      const values = readWeight(folder, weight.name);
      const inputs = weight.shape[1]!;
      const pruned = masked(values, lowest(scores(values, inputs, null), inputs, 0.5, 'matrix'));
      edited.set(weight.name, pruned);
      const name = weight.name.replace(/\.weight$/, '');
      equal &&= pruned.filter((value) => value === 0).length === zero_counts[name];
      names.delete(name);
    }
    this.#report.exact(`${this.#stem}/zero_counts`, equal && names.size === 0);
    const model = await this.#edited(this.#model, edited);
    this.#item('logits.compressed', await this.#logits(model), 1e-5);
    for (const half of ['attention', 'mlp'] as const) {
      const [writer] = writersOf(model.folder, { blocks: [block], halves: [half] });
      const values = outIn(writer!, readWeight(model.folder, writer!.weight.name));
      this.#item(`compressed.${SHORT[half]}.weight`, values, 1e-5);
    }
    return model;
  }

  async #repairs(copy: LanguageModel, vector: Float64Array): Promise<void> {
    const { block, alpha, C, D } = this.#json;
    const edit = { block, halves: ['attention', 'mlp'] as const, vector, base: this.#model.folder };
    const strengths: Record<RepairVariant, number> = { A: alpha, B: 1, C: C.c, D: D.alpha };
    for (const [variant, strength] of Object.entries(strengths) as [RepairVariant, number][]) {
      const paths = repairPaths(copy.folder, { ...edit, variant, alpha: strength });
      if (variant === 'A' || variant === 'B') {
        const { weights } = merged(copy.folder, paths);
        for (const half of ['attention', 'mlp'] as const) {
          const writer = writersOf(copy.folder, { blocks: [block], halves: [half] })[0]!;
          const { name } = writer.weight;
          this.#item(`${variant}.${SHORT[half]}.weight`, outIn(writer, weights.get(name)!), 1e-5);
          if (variant === 'A') {
            this.#item(`side_path.${SHORT[half]}`, paths.get(name)!.pair!.right, 1e-5);
          }
        }
      }
      await this.#asPath(copy, paths, variant);
    }
  }

  /** The logits of the copy with the paths beside its matrices. */
  async #asPath(copy: LanguageModel, paths: ReadonlyMap<string, SidePath>, variant: RepairVariant): Promise<void> {
    const repaired = copy.withSidePaths(paths);
    try {
      this.#item(`logits.${variant}`, await this.#logits(repaired), 1e-5);
    } finally {
      await repaired.programs.release();
    }
  }
}

const SHORT = { attention: 'attn', mlp: 'mlp' } as const;

const flat = (vectors: readonly ArrayLike<number>[]): Float64Array =>
  Float64Array.from(vectors.flatMap((vector) => Array.from(vector)));
