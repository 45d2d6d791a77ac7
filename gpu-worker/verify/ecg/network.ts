/** The network's outputs, losses and gradients against `network.json` and its tensor files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../../../shared/formats/safetensors.ts';
import { readNetwork } from '../../ecg/network/configuration.ts';
import { denoisingLoss } from '../../ecg/network/loss.ts';
import { network } from '../../ecg/network/network.ts';
import * as g from '../../graph/index.ts';
import { Session } from '../../runtime/index.ts';
import type { Report } from '../report.ts';

type GradientSummary = { shape: number[]; norm: number; max: number; probe: number };
type NetworkCase = {
  config: unknown;
  parameters: number;
  weights: string;
  mse: number;
  loss7: number;
  gradients: Record<string, GradientSummary>;
};

export async function compareNetworks(dir: string, report: Report): Promise<void> {
  const cases = JSON.parse(readFileSync(join(dir, 'network.json'), 'utf8')) as Record<string, NetworkCase>;
  for (const [name, stored] of Object.entries(cases)) {
    await compareNetwork(dir, name, stored, report).catch((error) => report.unreadable(name, error));
  }
}

async function compareNetwork(dir: string, name: string, stored: NetworkCase, report: Report): Promise<void> {
  const config = readNetwork(stored.config);
  const tensors = readSafetensors(readFileSync(join(dir, `${name}.safetensors`)));
  const weights = readSafetensors(readFileSync(join(dir, stored.weights)));
  const input = g.input('input', tensors.shape('input'));
  const target = g.input('target', tensors.shape('target'));
  const { output, embedding } = network(config, input);
  const mse = g.meanSquaredError(output, target);
  const parameters = g.namedLeaves([mse]).filter((leaf) => g.nameOf(leaf) in stored.gradients);
  const slopes = g.gradients(mse, parameters);
  const outputs = Object.fromEntries(slopes.map((slope, i) => [`by ${g.nameOf(parameters[i]!)}`, slope]));
  const loss7 = denoisingLoss(output, target);
  const program = g.compile({ output, embedding, mse, loss7, ...outputs }, { name, target: report.device });
  const session = await Session.create(program, { provider: report.device });
  try {
    const feeds: Record<string, Float32Array> = { input: tensors.float32('input'), target: tensors.float32('target') };
    const named = program.inputs.map((port) => port.name).filter((port) => !(port in feeds));
    for (const parameter of named) {
      feeds[parameter] = weights.float32(parameter);
    }
    const found = await session.run(feeds);
    const values = (key: string) => found[key]!.data as Float32Array;
    report.item(`${name}/output`, values('output'), tensors.float32('output'), 1e-5);
    report.item(`${name}/embedding`, values('embedding'), tensors.float32('embedding'), 1e-5);
    report.item(`${name}/mse`, values('mse'), [stored.mse], 1e-5);
    report.item(`${name}/loss7`, values('loss7'), [stored.loss7], 1e-5);
    report.exact(
      `${name}/parameters`,
      named.reduce((sum, parameter) => sum + feeds[parameter]!.length, 0) === stored.parameters,
    );
    const floor = 1e-3 * Math.max(...Object.values(stored.gradients).map(({ max }) => max));
    for (const key of [...tensors.header.tensors.keys()].filter((tensor) => tensor.startsWith('grad.'))) {
      report.item(
        `${name}/${key}`,
        found[`by ${key.slice(5)}`] ? values(`by ${key.slice(5)}`) : [],
        tensors.float32(key),
        1e-4,
        floor,
      );
    }
    compareSummaries(
      name,
      stored.gradients,
      (parameter) => found[`by ${parameter}`]?.data as Float32Array | undefined,
      floor,
      report,
    );
  } finally {
    await session.release();
  }
}

/** Norm and signed sum of every gradient; the worst parameter stands for all. */
function compareSummaries(
  name: string,
  stored: Record<string, GradientSummary>,
  gradient: (parameter: string) => Float32Array | undefined,
  floor: number,
  report: Report,
): void {
  const worst = { norm: { abs: 0, rel: 0 }, probe: { abs: 0, rel: 0 } };
  for (const [parameter, wanted] of Object.entries(stored)) {
    const values = gradient(parameter);
    if (!values) {
      report.unreadable(`${name}/norm`, new Error(`the network has no parameter ${parameter}`));
      continue;
    }
    const found = { norm: Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)), probe: probe(values) };
    for (const what of ['norm', 'probe'] as const) {
      const abs = Math.abs(found[what] - wanted[what]);
      const rel = abs / Math.max(wanted.norm, floor);
      if (!(rel <= worst[what].rel)) {
        worst[what] = { abs, rel };
      }
    }
  }
  report.measured(`${name}/norm`, worst.norm, 1e-4);
  report.measured(`${name}/probe`, worst.probe, 1e-4);
}

/** Sum with signs from a linear congruential generator that begins at the number of values. */
function probe(values: Float32Array): number {
  let state = (Math.imul(values.length, 2654435761 | 0) + 12345) >>> 0;
  let sum = 0;
  for (const value of values) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    sum += state >= 2 ** 31 ? value : -value;
  }
  return sum;
}
