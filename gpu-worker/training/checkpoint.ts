/** The whole state of a training run between two steps. */
import type { HostArray } from '../graph/index.ts';
import { EngineError } from '../runtime/index.ts';

export type Checkpoint = {
  name: string;
  /** Steps done. */
  step: number;
  optimiser: { name: string; settings: Readonly<Record<string, number>> };
  /** Parameters, optimiser state and averages by name. */
  tensors: Readonly<Record<string, { shape: readonly number[]; data: HostArray }>>;
};

/** Raises `checkpoint_mismatch` unless the checkpoint belongs to this program. */
export function requireMatch(checkpoint: Checkpoint, expected: Omit<Checkpoint, 'step'>): void {
  const refuse = (why: string): never => {
    throw new EngineError(
      'checkpoint_mismatch',
      `checkpoint of '${checkpoint.name}' at step ${checkpoint.step}: ${why}`,
    );
  };
  const settings = ({ optimiser }: Pick<Checkpoint, 'optimiser'>) =>
    `${optimiser.name} ${JSON.stringify(optimiser.settings)}`;
  if (settings(checkpoint) !== settings(expected)) {
    refuse(`it was made with ${settings(checkpoint)}, the program uses ${settings(expected)}`);
  }
  for (const [name, { shape }] of Object.entries(expected.tensors)) {
    const found = checkpoint.tensors[name];
    if (!found) {
      refuse(`it lacks '${name}'`);
    } else if (found.shape.join() !== shape.join()) {
      refuse(`'${name}' is [${found.shape}], the program needs [${shape}]`);
    }
  }
  for (const name of Object.keys(checkpoint.tensors)) {
    if (!(name in expected.tensors)) {
      refuse(`it has '${name}', which the program does not know`);
    }
  }
}
