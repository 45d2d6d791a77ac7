/** Tasks that params name, as token pairs of the job's model. */
import { readFile } from 'node:fs/promises';
import type { CircuitTask } from '../../../shared/contracts/circuit-task.ts';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import { canonicalJson, sha256Hex } from '../../../shared/signing/digest.ts';
import {
  type Example,
  encodePairs,
  greaterThanPairs,
  ioiPairs,
  type Pair,
  parseTaskFile,
  type WrittenPair,
} from '../../circuits/index.ts';
import type { LanguageModel } from '../../lm/index.ts';
import type { JobContext } from '../handler.ts';
import { requireTokenizer } from './tokens.ts';

type OpenedTask = {
  pairs: Pair[];
  written: WrittenPair[];
  digest: string;
  /** Three pairs as texts. */
  examples: Example[];
};

/** @throws SextantError `data_invalid`, `context_exceeded`, `input_not_found` */
export async function openCircuitTask(
  context: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  task: CircuitTask,
  model: LanguageModel,
  bos: boolean | null,
): Promise<OpenedTask> {
  const written = await readTask(context, task, model);
  const pairs = encodePairs(model, written, bos);
  const shown = (prompt: string | readonly number[]) => (typeof prompt === 'string' ? prompt : prompt.join(' '));
  const token = (tokens: readonly number[]) => {
    const some = tokens.slice(0, 4).map((id) => model.tokenizer?.decode([id], { special: true }) ?? String(id));
    return `${some.join(' ')}${tokens.length > some.length ? ` (${tokens.length} tokens)` : ''}`;
  };
  return {
    pairs,
    written,
    digest: await sha256Hex(canonicalJson(written)),
    examples: written.slice(0, 3).map(({ clean, corrupted }, i) => ({
      clean: shown(clean),
      corrupted: shown(corrupted),
      answer: token(pairs[i]!.answer),
      other: token(pairs[i]!.other),
    })),
  };
}

async function readTask(
  context: Pick<JobContext<unknown>, 'configuration' | 'input'>,
  task: CircuitTask,
  model: LanguageModel,
): Promise<WrittenPair[]> {
  if ('pairs' in task) {
    return task.pairs;
  }
  if ('ioi' in task) {
    return ioiPairs(requireTokenizer(model), task.ioi);
  }
  if ('greater_than' in task) {
    return greaterThanPairs(requireTokenizer(model), task.greater_than);
  }
  if ('local' in task) {
    const path = context.configuration.corpora[task.local];
    if (!path) {
      throw paramError('data_invalid', '/task/local', `this worker has no corpus alias '${task.local}'`);
    }
    return parseTaskFile(await readFile(path), task.format);
  }
  const input = context.input(task.artefact);
  const blob = input.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${task.artefact} has no bytes`);
  }
  return parseTaskFile(await readFile(await input.file(blob.name)), task.format);
}

/** @throws SextantError `data_invalid` where a pair has no position of the name */
export function requirePositions(pairs: readonly Pair[], positions: readonly string[] | null): void {
  for (const [i, name] of (positions ?? []).entries()) {
    const without = pairs.filter((pair) => pair.positions?.[name] === undefined).length;
    if (without > 0) {
      throw paramError(
        'data_invalid',
        `/positions/${i}`,
        `${without} of ${pairs.length} pairs have no position '${name}'`,
      );
    }
  }
}
