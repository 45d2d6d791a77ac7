/** Is what happens to a circuit's heads special? The same numbers for random sets of heads with as many in each layer. */
import { stream } from '../../../shared/math/random.ts';
import { pearson } from './correlation.ts';

const SETS = 200;

export type MatchedHeads = {
  /** Correlation over checkpoints of the summed attribution of the circuit's heads with the metric. */
  circuit: number | null;
  /** Quantiles 0.025, 0.5, 0.975 of the same number for matched random sets; null where none can be told from the circuit's. */
  random: [number, number, number] | null;
  /** Share of the random sets that reach the circuit's number. */
  reached: number | null;
  sets: number;
};

/**
 * @param attribution of each checkpoint: by head, layer by layer
 * @param metric of each checkpoint
 * @param circuit numbers of its heads
 */
export function matchedHeads(
  attribution: readonly (readonly number[])[],
  metric: readonly number[],
  circuit: readonly number[],
  headsPerLayer: number,
  seed: number,
): MatchedHeads {
  const correlation = (set: readonly number[]) =>
    pearson(
      attribution.map((own) => set.reduce((sum, head) => sum + own[head]!, 0)),
      metric,
    );
  const own = correlation(circuit);
  const random = stream(seed, 'circuits/matched');
  const byLayer = new Map<number, number>();
  for (const head of circuit) {
    const layer = Math.floor(head / headsPerLayer);
    byLayer.set(layer, (byLayer.get(layer) ?? 0) + 1);
  }
  const found = Array.from({ length: SETS }, (_, i) =>
    correlation(
      [...byLayer].flatMap(([layer, count]) =>
        Array.from(random.derive(i).derive(layer).subset(headsPerLayer, count), (head) => layer * headsPerLayer + head),
      ),
    ),
  ).filter((value) => value !== null);
  const sorted = [...found].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  return {
    circuit: own,
    random: sorted.length > 0 ? [at(0.025), at(0.5), at(0.975)] : null,
    reached: own === null || sorted.length === 0 ? null : found.filter((value) => value >= own).length / found.length,
    sets: found.length,
  };
}
