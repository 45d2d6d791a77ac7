/** A circuit that `circuits.find` published, beside which another of the same task is put. */
import { readFile } from 'node:fs/promises';
import { paramError } from '../../../shared/contracts/problem.ts';
import { type Circuit, circuitOfDocument, type NodeModel } from '../../circuits/index.ts';
import type { JobContext } from '../handler.ts';

/**
 * @param task digest of the pairs that the job's own circuit is found on
 * @throws SextantError `data_invalid` for another report or another task, and for a model of another shape
 */
export async function openBaseCircuit(
  context: Pick<JobContext<unknown>, 'input'>,
  id: string,
  task: string,
  { graph }: NodeModel,
): Promise<Circuit> {
  const { manifest, file } = context.input(id);
  if (manifest?.method !== 'circuits.find') {
    throw paramError(
      'data_invalid',
      '/base',
      `${id} is no report of circuits.find, which alone has a circuit to compare`,
    );
  }
  if (manifest.data_digest !== task) {
    throw paramError(
      'data_invalid',
      '/base',
      `the circuit of ${id} is of another task (pairs ${manifest.data_digest}, here ${task}); find it on the same pairs`,
    );
  }
  return circuitOfDocument(graph, JSON.parse(await readFile(await file('graph.json'), 'utf8')));
}
