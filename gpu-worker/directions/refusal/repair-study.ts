/** What a repair of refusal finds: a sweep over blocks and alphas, random directions at the best of it, and the chosen edit. */
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import contract, { repairPointSchema } from '../../../shared/jobs/refusal.repair.ts';
import type { LanguageModel } from '../../lm/index.ts';
import { type Checkpoints, sweepPoints } from '../../study/index.ts';
import { type BehaviourOptions, behaviourOf } from './behaviour.ts';
import { type FindOptions, findDirection, scoredDirections } from './find.ts';
import { repairPlots } from './plots.ts';
import { chosenPoint, Repairs } from './repair.ts';
import { repairBlocks } from './repair-blocks.ts';
import { storedGap, weightAccount, writeRepaired } from './repaired-weights.ts';

type Subject = { base: LanguageModel; copy: LanguageModel; find: FindOptions; behaviour: BehaviourOptions };
type Asked = Pick<
  ParamsOf<typeof contract>,
  'variant' | 'halves' | 'seed' | 'store' | 'rule' | 'blocks' | 'alphas' | 'limits' | 'random_directions'
>;
type Around = {
  /** Digests of what the sweep depends on. */
  of: Readonly<Record<string, string | null>>;
  checkpoints: Checkpoints;
  /** The copy's folder, a folder that the repaired model is written to, and one for what is not kept. */
  folders: { source: string; repaired: string; scratch: string };
  stage(name: string): void;
  swept(done: number, of: number): void;
};

/** The repaired model lies in its folder where a point was chosen. @throws SextantError as `findDirection` and `storedGap` */
export async function repairStudy({ base, copy, find, behaviour }: Subject, asked: Asked, around: Around) {
  const { variant, halves, seed, store } = asked;
  const found = await findDirection(base, find);
  const { selection } = await scoredDirections(copy, find);
  const own = asked.rule === 'lowest_bypass' ? selection.lowestBypass : selection.selected;
  const { vector } = found.chosen;
  const repairs = await Repairs.of({ base, copy, vector, sets: find.sets, behaviour, limits: asked.limits });
  const blocks = asked.blocks ?? repairBlocks(found.chosen, own, copy.architecture.layers);
  const points = (variant === 'D' ? [0] : blocks).flatMap((block) => asked.alphas.map((alpha) => ({ block, alpha })));
  around.stage('sweeping');
  const { results } = await sweepPoints({
    points,
    of: around.of,
    result: repairPointSchema.extend({ variant: contract.params.shape.variant.unwrap() }),
    checkpoints: around.checkpoints,
    progress: (done) => around.swept(done, points.length),
    measure: ({ block, alpha }) => repairs.point({ variant, halves, vector, block, alpha }),
  });
  around.stage('comparing with random directions');
  const chosen = chosenPoint(results);
  const best = chosen ?? chosenPoint(results, true) ?? results[0]!;
  const edit = { variant, halves, vector, block: best.block, alpha: best.alpha };
  const random = await repairs.random(edit, asked.random_directions, seed);
  const test = { harmful: find.sets.harmful.test, harmless: find.sets.harmless.test };
  const paths = repairs.paths(edit);
  const { source, repaired: folder, scratch } = around.folders;
  if (chosen) {
    writeRepaired(copy, paths, store, { source, to: folder });
  }
  const repaired = copy.withSidePaths(paths);
  const measured = {
    source: { position: found.chosen.position, layer: found.chosen.layer },
    copy_source: own && { position: own.position, layer: own.layer },
    chosen,
    points: results,
    random,
    claim: best.refusal > random.same_alpha.high && best.refusal > random.same_norm.high,
    base: await behaviourOf(base, test, behaviour),
    copy: await behaviourOf(copy, test, behaviour),
    repaired: chosen && (await behaviourOf(repaired, test, behaviour)),
    path_gap: chosen && (await storedGap(copy, paths, folder, test.harmless, scratch)),
    weights: chosen && weightAccount(copy, paths, store),
  };
  await repaired.programs.release();
  return { measured, plots: repairPlots(results, chosen, random.same_alpha) };
}
