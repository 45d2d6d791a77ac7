/**
 * Keys are kept as they were turned. Where a rotary scaling changes with the length of the text (LongRoPE, beyond its original
 * context), all positions are turned otherwise from then on, and everything so far goes through the model once more.
 */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { ropeRegime } from '../../../shared/models/rope.ts';
import type { Intervention } from '../inference/interventions.ts';

/**
 * An intervention while generating: on the prompt, on what is generated, on both (the default), or on tokens by their number
 * in the text, from 0.
 */
export type GenerationIntervention = Intervention extends infer I
  ? I extends Intervention
    ? Omit<I, 'positions'> & { during?: 'all' | 'prompt' | 'generated' | readonly number[] }
    : never
  : never;

/**
 * The edits of a step of `seq` new tokens in each row, after those that a row has.
 * @param of the prompts, or what is generated
 */
export function editsOf(
  interventions: readonly GenerationIntervention[],
  of: 'prompt' | 'generated',
  before: readonly number[],
  seq: number,
): Intervention[] {
  const own = interventions.filter(
    ({ during = 'all' }) => typeof during !== 'string' || during === 'all' || during === of,
  );
  return own.map(({ during, ...edit }): Intervention => {
    if (during === undefined || typeof during === 'string') {
      return edit as Intervention;
    }
    const positions = new Uint8Array(before.length * seq);
    for (const [row, length] of before.entries()) {
      for (const at of during) {
        if (at >= length && at < length + seq) {
          positions[row * seq + at - length] = 1;
        }
      }
    }
    return { ...edit, positions } as Intervention;
  });
}

/** Whether kept keys are of no use when texts grow from `length` to `length + 1` tokens. */
export const needsRenewal = ({ rope }: Architecture, length: number): boolean =>
  rope?.scaling?.kind === 'longrope' && ropeRegime(rope, length) !== ropeRegime(rope, length + 1);

type Row = { seen: readonly number[]; done: boolean };

/**
 * The texts so far as one step of rows padded behind, with what is put in at each of their positions.
 * @param lengths of the prompts
 * @throws SextantError `data_invalid` for values of single positions of the prompts
 */
export function renewal(
  rows: readonly Row[],
  lengths: readonly number[],
  interventions: readonly GenerationIntervention[],
): { ids: BigInt64Array; fresh: number[]; edits: Intervention[] } {
  const fresh = rows.map(({ seen, done }) => (done ? 0 : seen.length));
  const seq = Math.max(...fresh);
  const ids = new BigInt64Array(rows.length * seq);
  for (const [row, { seen }] of rows.entries()) {
    for (let i = 0; i < (fresh[row] ?? 0); i++) {
      ids[row * seq + i] = BigInt(seen[i] ?? 0);
    }
  }
  const edits = interventions.map(({ during = 'all', ...edit }): Intervention => {
    if (edit.kind === 'replace') {
      const detail = `'${edit.hook}': values cannot be replaced while the text grows beyond the model's original context`;
      throw new SextantError('data_invalid', detail);
    }
    if (during === 'all') {
      return edit as Intervention;
    }
    if (typeof during !== 'string') {
      return editsOf(
        [{ ...edit, during } as GenerationIntervention],
        'prompt',
        rows.map(() => 0),
        seq,
      )[0]!;
    }
    const positions = Uint8Array.from({ length: rows.length * seq }, (_, at) => {
      const inPrompt = at % seq < (lengths[Math.floor(at / seq)] ?? 0);
      return inPrompt === (during === 'prompt') ? 1 : 0;
    });
    return { ...edit, positions } as Intervention;
  });
  return { ids, fresh, edits };
}
