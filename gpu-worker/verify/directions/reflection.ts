/** Directions and steering on given states. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { SteeringMode } from '../../../shared/contracts/vector.ts';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../../shared/formats/safetensors-values.ts';
import {
  COMPONENTS,
  centred,
  differenceOfMeans,
  effectiveRank,
  firstComponent,
  logisticProbe,
  pairedDifferences,
  projections,
  type States,
} from '../../directions/reflection/directions.ts';
import { steered } from '../../directions/reflection/steering.ts';
import { areaUnderCurve, meanRow, norm } from '../../directions/vectors.ts';
import type { Report } from '../report.ts';

const numbers = z.record(z.string(), z.number());
const schema = z.looseObject({
  probe: z.looseObject({ l2: z.number(), loss: z.number().optional(), accuracy_test: z.number().optional() }),
  auc_test: numbers,
  auc_train: numbers,
  effective_rank: numbers,
  norm: z.number(),
  mean_projection_reflecting: z.number(),
  mean_projection_other: z.number(),
});

export async function compareReflection(report: Report, path: string, stem: string): Promise<void> {
  const json = schema.parse(JSON.parse(readFileSync(`${path}.json`, 'utf8')));
  const file = readSafetensors(readFileSync(`${path}.safetensors`));
  const stored = (name: string): Float64Array =>
    toFloat64(file.bytes(name), file.header.tensors.get(name)!.dtype) as Float64Array;
  const width = file.shape('reflecting')[1]!;
  const states: States = { reflecting: stored('reflecting'), other: stored('other'), width };
  const test: States = { reflecting: stored('test_reflecting'), other: stored('test_other'), width };
  const means = differenceOfMeans(states);
  const probe = logisticProbe(states, json.probe.l2);
  const directions = new Map<string, ArrayLike<number>>([
    ['difference_in_means', means],
    ...COMPONENTS.map((kind) => [`pc1_${kind}`, firstComponent(states, kind)] as const),
    ['probe', probe.weight],
  ]);
  const names = [...file.header.tensors.keys()];
  for (const name of names) {
    const key = `${stem}/${name}`;
    const steering = /^(proj_unit|proj_raw|add)(_centred)?\.(-?[0-9.]+)$/.exec(name);
    if (steering) {
      const [, mode, isCentred, alpha] = steering;
      const found = steered(stored('states'), {
        mode: mode as SteeringMode,
        alpha: Number(alpha),
        vector: means,
        centre: isCentred ? meanRow(states.other, width) : null,
      });
      report.item(key, found, stored(name), 1e-5);
    } else if (name === 'difference_in_means') {
      report.item(key, means, stored(name), 1e-5);
    } else if (name.startsWith('pc1_')) {
      report.item(key, directions.get(name) ?? [], stored(name), 1e-4);
    } else if (name === 'probe_weight') {
      report.item(key, probe.weight, stored(name), 1e-3);
    } else if (name === 'probe_bias') {
      report.item(key, [probe.bias], stored(name), 1e-3);
    } else if (!['reflecting', 'other', 'test_reflecting', 'test_other', 'states'].includes(name)) {
      report.failed(key, 1e-5, `'${name}' is not a tensor that is known here`);
    }
  }
  const auc = (sets: States, name: string): number => {
    const direction = directions.get(name);
    return direction
      ? areaUnderCurve(projections(sets.reflecting, width, direction), projections(sets.other, width, direction))
      : Number.NaN;
  };
  report.item(
    `${stem}/auc`,
    [
      ...Object.keys(json.auc_test).map((name) => auc(test, name)),
      ...Object.keys(json.auc_train).map((name) => auc(states, name)),
    ],
    [...Object.values(json.auc_test), ...Object.values(json.auc_train)],
    1e-3,
  );
  const matrices: Record<string, Float64Array> = {
    reflecting: states.reflecting,
    other: states.other,
    reflecting_centred: centred(states.reflecting, width),
    other_centred: centred(states.other, width),
    differences: pairedDifferences(states),
  };
  const ranks = Object.keys(json.effective_rank).map((name) =>
    matrices[name] ? effectiveRank(matrices[name], width) : Number.NaN,
  );
  report.item(`${stem}/effective_rank`, ranks, Object.values(json.effective_rank), 1e-5);
  const unit = means.map((value) => value / norm(means));
  const along = (x: Float64Array): number =>
    projections(x, width, unit).reduce((a, b) => a + b, 0) / (x.length / width);
  report.item(
    `${stem}/norms`,
    [norm(means), along(states.reflecting), along(states.other)],
    [json.norm, json.mean_projection_reflecting, json.mean_projection_other],
    1e-5,
  );
}
