/** A model of the same shape that never learned anything: the control that tells relearning from learning. */
import { stream } from '../../../shared/math/random.ts';
import { listWeights } from '../../../shared/models/architecture.ts';
import { copyFiles, initialisers, KEPT_FILES, readFolder, saveFolder } from '../../lm/index.ts';

/** Writes it into `path`; weights that were zero throughout stay so, as in models that lack a part. */
export function freshModel(folder: string, path: string, seed: number, isZero: (name: string) => boolean): void {
  const { architecture, weights, config } = readFolder(folder);
  const initial = initialisers(architecture, weights);
  const shapes = new Map(listWeights(weights).map(({ name, shape }) => [name, shape]));
  const { torch_dtype: _old, dtype: _stored, ...rest } = config;
  saveFolder(
    path,
    architecture,
    (name) => {
      const values = Float32Array.from(initial.get(name)!(shapes.get(name)!, stream(seed, `circuits/fresh/${name}`)));
      return isZero(name) ? values.fill(0) : values;
    },
    { config: { ...rest, torch_dtype: 'float32' } },
  );
  copyFiles(folder, path, KEPT_FILES);
}
