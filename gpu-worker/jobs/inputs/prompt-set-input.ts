/** Prompts that params refer to: in the request, or an uploaded file of JSON lines; in splits, without leaks. */
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { paramError, SextantError } from '../../../shared/contracts/problem.ts';
import {
  PROMPT_SPLITS,
  type PromptSource,
  type PromptSplit,
  promptSchema,
  type StudyPrompt,
} from '../../../shared/contracts/prompts.ts';
import { jsonLine } from '../../../shared/formats/json-line.ts';
import { stream } from '../../../shared/math/random.ts';
import { requireDisjoint, type Shares, splitPrompts } from '../../study/index.ts';
import type { JobContext } from '../handler.ts';

const MOST = 20_000;

/** @throws SextantError `data_invalid` naming the line that is no prompt, `input_not_found` */
async function readPrompts(
  context: Pick<JobContext<unknown>, 'input'>,
  source: PromptSource,
  pointer: string,
): Promise<StudyPrompt[]> {
  if ('texts' in source) {
    return source.texts.map((prompt) => (typeof prompt === 'string' ? { text: prompt } : prompt));
  }
  const input = context.input(source.artefact);
  const blob = input.blobs[0];
  if (!blob) {
    throw new SextantError('input_not_found', `the artefact ${source.artefact} has no bytes`);
  }
  const bytes = await readFile(await input.file(blob.name));
  if (!isUtf8(bytes)) {
    throw paramError('data_invalid', pointer, 'the file is not UTF-8');
  }
  const lines = bytes.toString('utf8').split('\n');
  const prompts = lines.flatMap((line, i) => (line.trim() === '' ? [] : [promptOf(line, i + 1, pointer)]));
  if (prompts.length === 0 || prompts.length > MOST) {
    throw paramError('data_invalid', pointer, `the file holds ${prompts.length} prompts; it may hold 1 to ${MOST}`);
  }
  return prompts;
}

function promptOf(line: string, number: number, pointer: string): StudyPrompt {
  const read = jsonLine(line);
  if ('wrong' in read) {
    throw paramError('data_invalid', pointer, `line ${number} ${read.wrong}`);
  }
  const parsed = promptSchema.safeParse(read.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw paramError('data_invalid', pointer, `line ${number}: /${issue?.path.join('/')}: ${issue?.message}`);
  }
  return parsed.data;
}

/**
 * The splits of a set: as the prompts say, or at random by shares.
 * @throws SextantError `data_invalid` where only some prompts name a split, or a split would be empty
 */
function splitsOf(
  prompts: readonly StudyPrompt[],
  shares: Shares<PromptSplit>,
  seed: number,
  pointer: string,
): Record<PromptSplit, StudyPrompt[]> {
  const given = prompts.filter(({ split }) => split !== undefined).length;
  if (given === 0) {
    const sum = PROMPT_SPLITS.reduce((total, split) => total + shares[split], 0);
    const normed = Object.fromEntries(PROMPT_SPLITS.map((split) => [split, shares[split] / sum]));
    return splitPrompts(prompts, normed as Record<PromptSplit, number>, stream(seed, `prompts${pointer}`));
  }
  if (given < prompts.length) {
    throw paramError(
      'data_invalid',
      pointer,
      `${given} of ${prompts.length} prompts name a split; all of them do, or none`,
    );
  }
  const of = (split: PromptSplit) => prompts.filter((prompt) => prompt.split === split);
  return { train: of('train'), validation: of('validation'), test: of('test') };
}

/**
 * Several sets in splits, of which no two share a prompt.
 * @param sources by the name of their field in the params
 * @throws SextantError `data_invalid` for a prompt in two sets or splits
 */
export async function readSplitSets<Name extends string>(
  context: Pick<JobContext<unknown>, 'input'>,
  sources: Readonly<Record<Name, PromptSource>>,
  { shares, seed }: { shares: Shares<PromptSplit>; seed: number },
): Promise<Record<Name, Record<PromptSplit, StudyPrompt[]>>> {
  const sets = {} as Record<Name, Record<PromptSplit, StudyPrompt[]>>;
  const places: Record<string, StudyPrompt[]> = {};
  for (const name of Object.keys(sources) as Name[]) {
    sets[name] = splitsOf(await readPrompts(context, sources[name], `/${name}`), shares, seed, `/${name}`);
    for (const split of PROMPT_SPLITS) {
      places[`/${name} ${split}`] = sets[name][split];
    }
  }
  // Prompts that belong together are grouped within a set; across sets a text alone says that they are the same.
  requireDisjoint(
    Object.fromEntries(
      Object.entries(places).map(([place, prompts]) => [
        place,
        prompts.map(({ text, group }) => ({
          text,
          ...(group !== undefined && { group: `${place.split(' ')[0]} ${group}` }),
        })),
      ]),
    ),
  );
  return sets;
}
