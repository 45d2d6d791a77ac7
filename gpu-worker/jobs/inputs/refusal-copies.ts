/** The copies of a refusal study: each is opened, measured against the base model and let go of, with a checkpoint after it. */
import { z } from 'zod';
import type { ParamsOf } from '../../../shared/jobs/contract.ts';
import contract from '../../../shared/jobs/refusal.study.ts';
import { copyPoint } from '../../directions/refusal/copy-study.ts';
import type { Found } from '../../directions/refusal/find.ts';
import { requireSameShape } from '../../directions/refusal/repair-blocks.ts';
import { sweepPoints } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';
import { type OpenedModel, openModel } from './model-input.ts';
import type { RefusalInput } from './refusal-input.ts';

const pointSchema = contract.result.shape.copies.element.omit({ vector: true }).extend({
  direction: z.object({ values: z.array(z.number()), residual_norm: z.number() }).nullable(),
  model: z.object({ id: z.string().nullable(), digest: z.string() }),
});

type Context = Pick<
  JobContext<ParamsOf<typeof contract>>,
  'params' | 'configuration' | 'input' | 'scratch' | 'describeModel' | 'checkpoint'
>;

/** @throws SextantError `data_invalid` for a copy of another shape */
export async function studiedCopies(
  context: Context,
  base: OpenedModel,
  { find, behaviour, encode, digest }: RefusalInput,
  found: Found,
  done: (copies: number) => void,
): Promise<z.infer<typeof pointSchema>[]> {
  const { copies, attacks, verdict: limits } = context.params;
  const { results } = await sweepPoints({
    points: copies.map(({ label }) => label),
    of: { model: base.digest, data: digest, copies: JSON.stringify(copies) },
    result: pointSchema,
    checkpoints: context.checkpoint,
    progress: done,
    measure: async (label, i) => {
      const opened = await openModel(context, copies[i]!.model);
      try {
        requireSameShape(base.model, opened.model, `/copies/${i}/model`);
        const options = { find, behaviour, attacks, encode, limits };
        const point = await copyPoint(label, opened.model, { model: base.model, chosen: found.chosen }, options);
        return { ...point, model: { id: opened.id, digest: opened.digest } };
      } finally {
        await opened.model.release();
      }
    },
  });
  return results;
}
