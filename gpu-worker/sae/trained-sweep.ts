/** The autoencoders of a finished sweep, one after another: applied to held-out activations, measured and described. */
import { type LanguageModel, tokenText } from '../lm/index.ts';
import { Encoder } from './codes/encoder.ts';
import { VARIANTS } from './codes/variants.ts';
import { foldScale } from './interchange/saelens.ts';
import { describeLatents } from './latents/latents.ts';
import { tokenEffects } from './latents/token-effects.ts';
import { measure, type SaeMeasures, type TrainedSae } from './measures/evaluate.ts';
import type { HeldOut } from './measures/held-out.ts';
import type { SweepMember, SweepResult } from './training/sweep.ts';

export type SweptSae = {
  index: number;
  member: SweepMember;
  /** With the scale of the activations folded into its weights. */
  sae: TrainedSae;
  measures: SaeMeasures;
  /** Share of latents that had not fired for long at the end of training. */
  deadShare: number;
  /** Loss of the last step; NaN where no step was left to do. */
  loss: number;
  dashboards: Awaited<ReturnType<typeof describeLatents>> | null;
};

/**
 * @param model null for activations in files, whose rows stand for tokens
 * @param dashboards whether every latent is described
 */
export async function* measureSweep(
  model: LanguageModel | null,
  members: readonly SweepMember[],
  swept: SweepResult,
  held: HeldOut,
  { threads, dashboards }: { threads: number; dashboards: boolean },
): AsyncGenerator<SweptSae, void, void> {
  const encoder = new Encoder({ threads, spinning: false });
  try {
    for (const [index, member] of members.entries()) {
      const result = swept.members[index];
      if (!result) {
        throw new RangeError(`the sweep has ${swept.members.length} results of ${members.length} members`);
      }
      const { configuration: c } = member;
      const sae: TrainedSae = {
        variant: c.variant,
        k: VARIANTS[c.variant].takes === 'k' ? c.k : null,
        subtractBias: c.subtractBias,
        iterations: c.iterations,
        iterationStep: c.iterationStep,
        parameters: foldScale(result.parameters, swept.scale),
      };
      const { measures, codes, metrics } = await measure(sae, held.x, encoder);
      const describe = async () =>
        describeLatents(
          sae.parameters,
          codes,
          metrics,
          held,
          model ? tokenText(model) : (row) => `row ${row}`,
          model && (await tokenEffects(model, sae.parameters)),
          encoder,
        );
      yield {
        index,
        member,
        sae,
        measures,
        deadShare: result.deadShare,
        loss: result.last?.loss ?? Number.NaN,
        dashboards: dashboards ? await describe() : null,
      };
    }
  } finally {
    await encoder.release();
  }
}

/** Share of dead latents above which a sweep says so. */
const MANY_DEAD = 0.2;

/** What its owner should know of a sweep on activations of `inputs` dimensions. */
export const sweepWarnings = (
  members: readonly SweepMember[],
  inputs: number,
  swept: Pick<SweepResult, 'members'>,
): string[] =>
  members.flatMap(({ configuration: { variant, width } }, i) => {
    const deadShare = swept.members[i]?.deadShare ?? 0;
    return [
      ...(width < inputs
        ? [`${variant}: ${width} latents are fewer than the ${inputs} dimensions of the activations`]
        : []),
      ...(deadShare > MANY_DEAD
        ? [`${variant}: ${Math.round(100 * deadShare)} % of ${width} latents are dead; train longer, or with fewer`]
        : []),
    ];
  });
