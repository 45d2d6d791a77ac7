/** One step of generation: prompts or single tokens through the model, with keys and values cached between steps. */
import type { FeedValue } from '../../runtime/index.ts';
import { type Intervention, prepareEdit } from '../inference/interventions.ts';
import type { KvCache } from '../inference/kv-cache.ts';
import type { LanguageModel } from '../inference/model.ts';
import { isFused, type Variant } from '../inference/programs.ts';
import { named } from '../named.ts';

/**
 * Logits [batch, vocabulary] after each row's `fresh` new tokens, the first ones of its part of `ids`, and the logs of
 * their sums of exp [batch]; the tokens join the cache. What follows them in `ids` is computed and never looked at.
 * Prompts and single tokens run in one session: the threads of a second one would spin on the cores of the first.
 */
export async function decodeStep(
  model: LanguageModel,
  cache: KvCache,
  ids: BigInt64Array,
  fresh: readonly number[],
  interventions: readonly Intervention[],
): Promise<Record<'logits' | 'normalisers', Float32Array>> {
  const batch = fresh.length;
  const seq = ids.length / batch;
  const edits = interventions.map((intervention, index) =>
    prepareEdit(model.architecture, intervention, index, batch, seq),
  );
  const variant: Variant = {
    taps: [],
    edits,
    logits: 'rows',
    tapRows: false,
    losses: false,
    final: false,
    padded: false,
    cached: true,
  };
  const fused = isFused(model.architecture, variant, model.device);
  const session = await model.programs.session(variant);
  cache.reserve(seq);
  // A row that has ended may have filled the context; what it computes is not looked at.
  const last = model.architecture.context - 1;
  const positions = new BigInt64Array(batch * seq);
  for (const [row, length] of cache.lengths.entries()) {
    for (let i = 0; i < seq; i++) {
      positions[row * seq + i] = BigInt(Math.min(last, length + i));
    }
  }
  const feeds: Record<string, FeedValue> = {
    ids: { shape: [batch, seq], data: ids },
    positions: { shape: [batch, seq], data: positions },
    logit_rows: {
      shape: [batch],
      data: BigInt64Array.from(fresh, (count, row) => BigInt(row * seq + Math.max(0, count - 1))),
    },
    ...model.shapes.rotary(cache.length + seq),
    ...cache.buffers(),
    ...(fused
      ? {
          last: { shape: [batch], data: Int32Array.from(cache.lengths, (length) => length + seq - 1) },
          total: { shape: [], data: Int32Array.of(cache.length + seq) },
        }
      : { ...cache.masks(seq), ...model.shapes.causal(seq) }),
  };
  for (const edit of edits) {
    Object.assign(feeds, edit.feeds);
  }
  const used = session.program.inputs.map(({ name }) => name);
  const given = Object.fromEntries(used.map((name) => [name, named(feeds, name)]));
  const out = await session.run(given);
  cache.append(out, seq, fresh);
  return {
    logits: named(out, 'logits').data as Float32Array,
    normalisers: named(out, 'normalisers').data as Float32Array,
  };
}
