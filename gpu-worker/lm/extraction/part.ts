/** Which passages of a reading are one worker's, where several share an extraction. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { PassageReading } from '../corpus/passages.ts';
import { passes } from '../inference/activations.ts';
import type { LanguageModel } from '../inference/model.ts';

/**
 * The passages of part `index` of `of`, after a look at all tokens without the model. Parts are cut where forward passes
 * end, so that each pass, and with it every bit of its rows, is the same as in an extraction by one worker.
 * @throws SextantError `data_invalid` for more parts than passes
 */
export async function passagesOfPart(
  model: LanguageModel,
  reading: PassageReading,
  batch: number,
  { index, of }: { index: number; of: number },
): Promise<{ from: number; to: number }> {
  const ends = [0];
  for await (const rows of passes(model, reading, batch)) {
    ends.push((ends.at(-1) ?? 0) + rows.length);
  }
  const count = ends.length - 1;
  if (of > count) {
    throw new SextantError(
      'data_invalid',
      `/part/of: the text makes ${count} passes of the model, too few for ${of} parts`,
    );
  }
  const end = (part: number): number => ends[Math.floor((count * part) / of)] ?? 0;
  return { from: end(index), to: end(index + 1) };
}
