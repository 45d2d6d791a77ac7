/** Repairs of a compressed copy: every block and alpha, measured with refusal, over-refusal, answers and divergence. */
import type { LanguageModel, SidePath } from '../../lm/index.ts';
import { type Band, centralBand, randomUnits } from '../controls.ts';
import { lastLogits } from '../rows.ts';
import { norm } from '../vectors.ts';
import { answersTo, type BehaviourOptions, holdsAnswer, meanKl, opensRefusal } from './behaviour.ts';
import type { SteadyEdit } from './interventions.ts';
import type { RefusalSets } from './prompts.ts';
import { editNorm, type RepairVariant, repairPaths } from './repair-edits.ts';
import { meanOf, refusalScores } from './scores.ts';
import { type Half, hasPostNorms } from './weight-edits.ts';

type RepairPoint = {
  variant: RepairVariant;
  block: number;
  alpha: number;
  refusal: number;
  refusal_score: number;
  over_refusal: number;
  answers: number | null;
  kl: number;
  edit_norm: number;
  qualifies: boolean;
};
type RepairLimits = { over_refusal: number; kl: number; answers: number };

type RepairSubject = {
  base: LanguageModel;
  copy: LanguageModel;
  /** The base model's raw vector. */
  vector: ArrayLike<number>;
  sets: RefusalSets;
  behaviour: BehaviourOptions;
  limits: RepairLimits;
};
type Edit = {
  variant: RepairVariant;
  block: number;
  alpha: number;
  halves: readonly Half[];
  vector: ArrayLike<number>;
};
type Measures = Pick<RepairPoint, 'refusal' | 'refusal_score' | 'over_refusal' | 'answers' | 'kl'>;

export class Repairs {
  readonly #of: RepairSubject;
  readonly #plain: Float32Array;
  readonly #reference: { base: Measures; copy: Measures };

  private constructor(of: RepairSubject, plain: Float32Array, reference: { base: Measures; copy: Measures }) {
    this.#of = of;
    this.#plain = plain;
    this.#reference = reference;
  }

  static async of(subject: RepairSubject): Promise<Repairs> {
    const plain = await lastLogits(subject.copy, subject.sets.harmless.validation);
    const measured = (model: LanguageModel) => measure(model, [], plain, subject);
    return new Repairs(subject, plain, { base: await measured(subject.base), copy: await measured(subject.copy) });
  }

  /** What is added beside the copy's matrices. */
  paths = (edit: Edit): Map<string, SidePath> =>
    repairPaths(this.#of.copy.folder, { ...edit, base: this.#of.base.folder });

  async point(edit: Edit): Promise<RepairPoint> {
    const { variant, block, alpha } = edit;
    const paths = this.paths(edit);
    const steady = steadyEdits(this.#of.copy, edit);
    const measures = steady
      ? await measure(this.#of.copy, steady, this.#plain, this.#of)
      : await this.#beside(paths, (model) => measure(model, [], this.#plain, this.#of));
    return { variant, block, alpha, ...measures, edit_norm: editNorm(paths), qualifies: this.#qualifies(measures) };
  }

  #qualifies({ over_refusal, kl, answers }: Measures): boolean {
    const { limits } = this.#of;
    const { base, copy } = this.#reference;
    return (
      over_refusal <= base.over_refusal + limits.over_refusal &&
      kl <= limits.kl &&
      (answers === null || answers >= copy.answers! - limits.answers)
    );
  }

  async #beside<T>(paths: ReadonlyMap<string, SidePath>, visit: (model: LanguageModel) => Promise<T>): Promise<T> {
    const model = this.#of.copy.withSidePaths(paths);
    try {
      return await visit(model);
    } finally {
      await model.programs.release();
    }
  }

  /** Refusal after the same edit along random directions of the same norm: of the same alpha, and of the same edit norm. */
  async random(edit: Edit, count: number, seed: number): Promise<{ same_alpha: Band; same_norm: Band }> {
    const size = norm(edit.vector);
    const wanted = editNorm(this.paths(edit));
    const [alike, scaled]: [number[], number[]] = [[], []];
    for (const unit of randomUnits(seed, 'refusal/repair', count, this.#of.copy.architecture.width)) {
      const own = { ...edit, vector: Float64Array.from(unit, (value) => size * value) };
      alike.push((await this.point(own)).refusal);
      const small = editNorm(this.paths(own));
      const alpha = small > 0 ? (edit.alpha * wanted) / small : edit.alpha;
      scaled.push((await this.point({ ...own, alpha })).refusal);
    }
    return { same_alpha: centralBand(alike), same_norm: centralBand(scaled) };
  }
}

/** The highest refusal among points that qualify; of equal ones the smaller divergence. */
export const chosenPoint = (points: readonly RepairPoint[], all = false): RepairPoint | null =>
  points
    .filter(({ qualifies, alpha }) => (all || qualifies) && alpha !== 0)
    .sort((a, b) => b.refusal - a.refusal || a.kl - b.kl)[0] ?? null;

/**
 * The edit at the hooks where it is exactly that: what attention and MLP write, before anything else happens to it. Null where
 * a norm follows or the edit reads another model.
 */
function steadyEdits(copy: LanguageModel, { variant, block, alpha, halves, vector }: Edit): SteadyEdit[] | null {
  if (variant === 'B' || hasPostNorms(copy.folder)) {
    return null;
  }
  if (variant === 'C') {
    return [{ kind: 'add', hook: `mlp_out.${block}`, vector: Float32Array.from(vector), strength: alpha }];
  }
  const size = norm(vector);
  const directions = Float32Array.from(vector, (value) => value / size);
  const blocks = variant === 'D' ? Array.from({ length: copy.architecture.layers }, (_, layer) => layer) : [block];
  return blocks.flatMap((layer) =>
    halves.map(
      (half): SteadyEdit => ({
        kind: 'project',
        hook: `${half === 'attention' ? 'attn' : 'mlp'}_out.${layer}`,
        directions,
        factor: 1 + alpha,
      }),
    ),
  );
}

async function measure(
  model: LanguageModel,
  edits: readonly SteadyEdit[],
  plain: Float32Array,
  { sets, behaviour }: RepairSubject,
): Promise<Measures> {
  const { vocabulary } = model.architecture;
  const [harmful, harmless] = [sets.harmful.validation, sets.harmless.validation];
  const up = await lastLogits(model, harmful, () => edits);
  const down = await lastLogits(model, harmless, () => edits);
  const known = harmless.filter(({ answer }) => answer !== null);
  const answers = known.length > 0 ? await answersTo(model, known, behaviour, edits) : null;
  return {
    refusal: meanOf(opensRefusal(up, vocabulary, behaviour.tokens)),
    refusal_score: meanOf(refusalScores(up, vocabulary, behaviour.tokens)),
    over_refusal: meanOf(opensRefusal(down, vocabulary, behaviour.tokens)),
    answers: answers && meanOf(answers.map((text, i) => Number(holdsAnswer(text, known[i]!.answer!)))),
    kl: meanKl(plain, down, vocabulary),
  };
}
