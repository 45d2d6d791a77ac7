/** A study: its phases one after the other, and what is compared at their ends. */
import { type LanguageModel, loadModel } from '../../lm/index.ts';
import type { TransferKind } from '../cross-model/transfer.ts';
import { nodeModel } from '../network/node-model.ts';
import type { StudyParts } from '../report/study-report.ts';
import { TaskRuns } from '../search/task-runs.ts';
import { checkpointCircuit } from './base-circuit.ts';
import type { Phase, Phases } from './phases.ts';
import type { ReadingSettings } from './reading.ts';
import { headDistances, headRoles } from './roles.ts';
import type { NamedPhase } from './summary.ts';
import { summarise } from './summary.ts';
import { transfers } from './transfers.ts';

export const phaseKey = (phase: Phase): string => (phase.name === 'fresh_rate' ? `fresh at ${phase.rate}` : phase.name);

/** What is read of the ends of base, clean, poisoned and retrained model. */
export async function compareEnds(
  phases: Phases,
  results: readonly NamedPhase[],
  {
    reading,
    kinds,
    edges,
    seed,
    threads,
  }: { reading: ReadingSettings; kinds: readonly TransferKind[]; edges: number; seed: number; threads?: number },
): Promise<StudyParts> {
  const ends = ['base', 'clean', 'poisoned', 'retrained'] as const;
  const opened: { phase: (typeof ends)[number]; model: LanguageModel }[] = [];
  try {
    for (const phase of ends) {
      const folder = [...(await phases.folders({ name: phase })).values()].at(-1)!;
      opened.push({
        phase,
        model: await loadModel(folder, { spinning: false, ...(threads !== undefined && { threads }) }),
      });
    }
    const at = (phase: (typeof ends)[number]) => opened.find((one) => one.phase === phase)!.model;
    const base = at('base');
    const { heads } = base.architecture;
    const summary = summarise(results, heads, seed);
    const circuits: StudyParts['circuits'] = [];
    for (const { phase, model } of opened) {
      const runs = new TaskRuns({
        ...reading.task,
        nodes: nodeModel(model),
        pairs: reading.pairs,
        ...(threads !== undefined && { threads }),
      });
      try {
        circuits.push({
          phase,
          found: await checkpointCircuit(runs, edges, circuits[0]?.found.circuit ?? null, seed, threads),
        });
      } finally {
        await runs.release();
      }
    }
    const roles: StudyParts['roles'] = [];
    for (const { phase, model } of opened) {
      roles.push({ phase, heads: await headRoles(model, reading.pairs), distances: headDistances(base, model) });
    }
    const circuit = summary.circuit.map((head) => ({ layer: Math.floor(head / heads), head: head % heads }));
    const crossed = (from: LanguageModel, into: LanguageModel) =>
      transfers(from, into, reading.pairs, reading.task.metric, { kinds, circuit });
    return {
      summary,
      circuits,
      roles,
      transfers: {
        poisoned_into_base: await crossed(at('poisoned'), base),
        base_into_poisoned: await crossed(base, at('poisoned')),
      },
    };
  } finally {
    for (const { model } of opened) {
      await model.release();
    }
  }
}
