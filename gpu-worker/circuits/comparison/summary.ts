/** What a study's phases say together. */
import type { Interval } from '../../../shared/math/resample.ts';
import {
  type Comparison,
  compareReadings,
  halfWay,
  meanEffects,
  meanMetric,
  recovery,
  type Verdicts,
  verdicts,
} from './compare-readings.ts';
import { largest } from './correlation.ts';
import { type MatchedHeads, matchedHeads } from './matched-heads.ts';
import { type PhaseResult, readingOf } from './phases.ts';
import type { Reading } from './reading.ts';

export type NamedPhase = { phase: string; result: PhaseResult };

type CheckpointSummary = {
  phase: string;
  step: number;
  metric: number;
  accuracy: number;
  pairwise_accuracy: number;
  unrelated_loss: number | null;
  /** From the base, over all weights. */
  distance: number;
  /** With the base; null for the base itself. */
  compared: Comparison | null;
  /** Of what the poison took; null before it, and where base and poisoned do not differ enough. */
  recovery: Interval | null;
  effects: number[];
  attribution: number[];
};
export type StudySummary = {
  checkpoints: CheckpointSummary[];
  verdicts: Verdicts;
  /** Steps to the middle of the fall and of the rise. */
  hysteresis: { fall: number | null; rise: number | null };
  matched: MatchedHeads;
  /** Numbers of the base's heads with the largest effects. */
  circuit: number[];
};

/** Heads that count as the base's circuit where the rest is compared with it. */
const CIRCUIT = 6;

export function summarise(phases: readonly NamedPhase[], headsPerLayer: number, seed: number): StudySummary {
  const read = phases.flatMap(({ phase, result }) =>
    result.points.map(({ step, distance, reading }) => ({ phase, step, distance, reading: readingOf(reading) })),
  );
  const end = (phase: string): Reading | null => read.filter((point) => point.phase === phase).at(-1)?.reading ?? null;
  const base = end('base')!;
  const poisoned = end('poisoned')!;
  const [clean, retrained] = [end('clean'), end('retrained')];
  const circuit = largest(meanEffects(base), CIRCUIT);
  const after = new Set(['retrained', 'fresh', 'fresh_rate']);
  const checkpoints = read.map(({ phase, step, distance, reading }) => ({
    phase,
    step,
    metric: meanMetric(reading),
    accuracy: reading.accuracy,
    pairwise_accuracy: reading.pairwise,
    unrelated_loss: reading.unrelated,
    distance,
    compared: phase === 'base' ? null : compareReadings(base, reading, seed),
    recovery: after.has(phase.split(' ')[0]!) ? recovery(base, poisoned, reading, seed) : null,
    effects: meanEffects(reading),
    attribution: reading.attribution,
  }));
  const curve = (phase: string, start: Reading) => [
    { step: 0, value: meanMetric(start) },
    ...checkpoints.filter((point) => point.phase === phase).map(({ step, metric }) => ({ step, value: metric })),
  ];
  const followed = read.filter(({ phase }) => ['base', 'poisoned', 'retrained'].includes(phase));
  return {
    checkpoints,
    verdicts: verdicts(
      clean && compareReadings(base, clean, seed),
      compareReadings(base, poisoned, seed),
      retrained && {
        comparison: compareReadings(base, retrained, seed),
        recovery: recovery(base, poisoned, retrained, seed),
      },
    ),
    hysteresis: {
      fall: halfWay(curve('poisoned', base)),
      rise: retrained ? halfWay(curve('retrained', poisoned)) : null,
    },
    matched: matchedHeads(
      followed.map(({ reading }) => reading.attribution),
      followed.map(({ reading }) => meanMetric(reading)),
      circuit,
      headsPerLayer,
      seed,
    ),
    circuit,
  };
}
