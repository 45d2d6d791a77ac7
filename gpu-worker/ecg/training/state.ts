/** A training's state as one set of arrays, so that it is stored like any other training's. */
import type { Checkpoint } from '../../training/index.ts';
import type { TrainingState, Validation } from './train.ts';

const [BEST, VALIDATIONS] = ['best:', 'validations'];

export function packState({ training, best, validations }: TrainingState): Checkpoint {
  const tensors: Record<string, Checkpoint['tensors'][string]> = { ...training.tensors };
  for (const [name, weight] of Object.entries(best ?? {})) {
    tensors[`${BEST}${name}`] = weight;
  }
  const numbers = validations.flatMap(({ step, snrIn, snrOut }) => [step, snrIn, snrOut]);
  tensors[VALIDATIONS] = { shape: [validations.length, 3], data: Float64Array.from(numbers) };
  return { ...training, tensors };
}

export function unpackState({ tensors, ...rest }: Checkpoint): TrainingState {
  const own: Record<string, Checkpoint['tensors'][string]> = {};
  const best: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  let validations: Validation[] = [];
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name.startsWith(BEST)) {
      best[name.slice(BEST.length)] = { shape: tensor.shape, data: tensor.data as Float32Array };
    } else if (name === VALIDATIONS) {
      const numbers = Array.from(tensor.data as Float64Array);
      validations = Array.from({ length: numbers.length / 3 }, (_, i) => ({
        step: numbers[3 * i]!,
        snrIn: numbers[3 * i + 1]!,
        snrOut: numbers[3 * i + 2]!,
      }));
    } else {
      own[name] = tensor;
    }
  }
  return { training: { ...rest, tensors: own }, best: Object.keys(best).length > 0 ? best : null, validations };
}
