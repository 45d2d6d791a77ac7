/** The same work done by llama.cpp, as the npm package node-llama-cpp has it, in a child process, on command. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readFolder, readWeight } from '../../../gpu-worker/lm/weights/folder.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { familyOf } from '../../../shared/models/describe.ts';
import { ggufFile, ggufTensor } from '../../support/gguf-model.ts';
import { MeasuredProcess } from './measured-process.ts';

const ENTRY = join(import.meta.dirname, 'llama-cpp-process.ts');

/** Loads the model of a folder, all matrices in float32 or in Q8_0, with the package installed in `packages`. */
export function startLlamaCpp(
  packages: string,
  folder: string,
  { threads, rows, quantised }: { threads: number; rows: number; quantised: boolean },
): Promise<MeasuredProcess> {
  const file = `${folder}-${quantised ? 'q8_0' : 'f32'}.gguf`;
  if (!existsSync(file)) {
    const opened = readFolder(folder);
    const { architecture: a } = opened;
    const tensors = listWeights(familyOf('llama').weights(a)).map(({ name, shape }) =>
      ggufTensor(a, { name, shape, values: readWeight(opened, name) }, quantised && shape.length > 1 ? 8 : 0),
    );
    // it loads no model without a tokenizer that has all bytes, and uses none here
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
    const first = ['<unk>', '<s>', '</s>', ...bytes];
    const tokens = Array.from({ length: a.vocabulary }, (_, i) => first[i] ?? `w${i}`);
    writeFileSync(file, ggufFile(a, tensors, { tokens }));
  }
  return MeasuredProcess.start(process.execPath, [ENTRY, packages, file, String(threads), String(rows)]);
}
