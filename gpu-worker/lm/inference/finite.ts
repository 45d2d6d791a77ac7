/** Values that are no numbers: whether there are any, and where in a model they appear first. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { type HookKind, hookWidth, parseHook } from '../../../shared/models/hooks.ts';
import type { Batch } from './batch.ts';
import type { Intervention } from './interventions.ts';
import type { ForwardRequest, ForwardResult, Tap } from './pass.ts';

/** The first value from `from` to `to` that is NaN or infinite; undefined where there is none. */
export function notFiniteIn(values: Float32Array, from = 0, to = values.length): number | undefined {
  // The sum of finite numbers may be infinite in float32, not in float64; one that is not finite makes it so.
  let sum = 0;
  for (let i = from; i < to; i++) {
    sum += values[i] ?? 0;
  }
  return Number.isFinite(sum) ? undefined : values.subarray(from, to).find((value) => !Number.isFinite(value));
}

/** The first value of a tap that is no number, at the tokens of its batch: what padding holds is nobody's. */
function notFiniteTap({ shape, data }: Tap, { batch, seq, starts }: Pick<Batch, 'batch' | 'seq' | 'starts'>) {
  if (shape.length !== 3 || shape[0] !== batch || shape[1] !== seq) {
    return notFiniteIn(data);
  }
  const width = data.length / (batch * seq);
  for (const [row, start] of starts.entries()) {
    const bad = notFiniteIn(data, (row * seq + start) * width, (row + 1) * seq * width);
    if (bad !== undefined) {
      return bad;
    }
  }
  return undefined;
}

/** Whether a pass gave anything at a token that is no number. */
export const isNotFinite = ({ logits, taps, final, losses, ...batch }: ForwardResult): boolean =>
  [logits, final, ...Object.values(taps)].some((tap) => tap && notFiniteTap(tap, batch) !== undefined) ||
  batch.starts.some(
    (start, row) =>
      losses !== null && notFiniteIn(losses, row * batch.seq + start, (row + 1) * batch.seq - 1) !== undefined,
  );

/** Places of a layer in the order of computation, without the heads' shares and the patterns, which cost much. */
const ORDER: readonly HookKind[] = [
  'resid_pre',
  'q',
  'k',
  'v',
  'attn_out',
  'resid_mid',
  'router',
  'mlp_act',
  'mlp_out',
  'resid_post',
];

/** A model's shape and its hook points. */
type Hooked = { architecture: Architecture; hooks: readonly string[] };

/** A pass of which nothing is checked. */
type Pass = (request: ForwardRequest) => Promise<ForwardResult>;

/**
 * The error about a pass that gave values which are no numbers, naming the hook point at which they appear first. What goes wrong
 * in a layer stays in the stream behind it, so that the layer is found by halving.
 */
export async function notFiniteError(
  model: Hooked,
  pass: Pass,
  { ids, interventions = [] }: Pick<ForwardRequest, 'ids' | 'interventions'>,
): Promise<SextantError> {
  const { layers } = model.architecture;
  const firstAt = async (hooks: readonly string[]) => {
    const { taps, ...batch } = await pass({ ids, interventions, taps: hooks, logits: 'none' });
    for (const hook of hooks) {
      const tap = taps[hook];
      const value = tap && notFiniteTap(tap, batch);
      if (value !== undefined) {
        return { hook, value };
      }
    }
    return null;
  };
  let [low, high] = [0, layers];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await firstAt([`resid_post.${middle}`])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const found = low < layers ? await firstAt(hooksOf(model, low, interventions)) : null;
  const place = found
    ? `${found.value} at '${found.hook}', in layer ${low}, which is the first hook point where a value is no number`
    : `a logit that is no number, behind the last hook point 'resid_post.${layers - 1}' of layer ${layers - 1}`;
  return new SextantError('not_finite', `the model gives ${place}: ${causeOf(interventions)}`);
}

const causeOf = (interventions: readonly Intervention[]): string =>
  interventions.length > 0
    ? 'what is put into it is too large or no number, or its weights are'
    : 'its weights there are too large or no numbers';

/** The hook points of a layer in the order of computation, with those heads at which something is put in. */
export function hooksOf(
  { architecture, hooks }: Hooked,
  layer: number,
  interventions: readonly Intervention[] = [],
): string[] {
  const heads = interventions.flatMap(({ hook }) => {
    const { kind, layer: at } = parseHook(hook);
    return kind === 'head_out' && at === layer ? [hook] : [];
  });
  return ORDER.flatMap((kind) => [...(kind === 'attn_out' ? new Set(heads) : []), `${kind}.${layer}`]).filter(
    (hook) => hooks.includes(hook) && hookWidth(architecture, parseHook(hook)) !== null,
  );
}
