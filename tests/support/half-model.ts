/**
 * A denoising model with all weights 0: the network gives nothing, and the share of the input that goes past it is one half.
 * Behind a gate that is wide open its output is half the high-passed input, whatever the windows, so seams would show.
 */
import { mkdirSync } from 'node:fs';
import { conditionsOf } from '../../gpu-worker/ecg/denoise/context.ts';
import { GATE_FEATURES } from '../../gpu-worker/ecg/denoise/gate.ts';
import { ECG_FAMILY, type EcgModel, writeEcgModel } from '../../gpu-worker/ecg/model/document.ts';
import { standardNetwork } from '../../gpu-worker/ecg/network/configuration.ts';
import { joinedNetwork } from '../../gpu-worker/ecg/network/joined.ts';
import * as g from '../../gpu-worker/graph/index.ts';
import { WIDE_OPEN } from './wide-open-gate.ts';

export function halfModel(): EcgModel {
  const network = standardNetwork({ conditions: conditionsOf(2) });
  const output = joinedNetwork(network, g.input('x', [1, network.leads + network.conditions, network.window]));
  const leaves = g.namedLeaves([output]).filter((leaf) => g.nameOf(leaf) !== 'x');
  const weights = Object.fromEntries(
    leaves.map((leaf) => {
      const shape = leaf.shape as number[];
      return [g.nameOf(leaf), { shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) }];
    }),
  );
  const none = new Array<number>(GATE_FEATURES).fill(0);
  return {
    document: {
      model_type: ECG_FAMILY,
      task: 'ecg',
      network,
      gate: { hidden: WIDE_OPEN.hidden.map((row) => [...row]), shares: WIDE_OPEN.shares.map((row) => [...row]) },
      estimates: { before: none, after: none },
      training_range: null,
      card: {},
    },
    weights,
  };
}

export async function writeHalfModel(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await writeEcgModel(folder, halfModel());
}
