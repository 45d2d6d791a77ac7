/** The pairs of prompts that are measured on. */
import type { Pair } from '../../../gpu-worker/circuits/index.ts';

export const [BATCH, SEQ] = [32, 16] as const;

/** The pairs that the other side makes too. */
export function benchPairs(vocabulary: number): Pair[] {
  const rows = (shift: number) =>
    Array.from({ length: BATCH }, (_, r) =>
      Array.from({ length: SEQ }, (_, i) => (r * 31 + i * 17 + 5 + shift * (r + i)) % vocabulary),
    );
  const [clean, corrupted] = [rows(0), rows(3)];
  return clean.map((ids, r) => ({
    clean: ids,
    corrupted: corrupted[r]!,
    answer: [r + 7],
    other: [r + 99],
    template: null,
  }));
}
