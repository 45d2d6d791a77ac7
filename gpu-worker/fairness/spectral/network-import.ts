/** Dense networks from safetensors files, as `torch.nn.Sequential` names them. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import { checkNetwork, type DenseNetwork } from '../../../shared/fairness/predictors/network.ts';
import { readSafetensors, type Safetensors } from '../../../shared/formats/safetensors.ts';
import { toFloat64 } from '../../../shared/formats/safetensors-values.ts';

/** Names in the order a reader means: numbers within them by value. */
const inOrder = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

/**
 * Layers `NAME.weight` [outputs, inputs] and `NAME.bias` [outputs] in the order of their names, ReLU between them, a linear
 * output. Raises `data_invalid` for other tensors or shapes that do not chain.
 */
export function importNetwork(file: Uint8Array): DenseNetwork {
  const source = readable(file);
  const entries = [...source.header.tensors.values()];
  const bytes = ({ name }: { name: string }): Uint8Array => source.bytes(name);
  const names = entries.map((entry) => entry.name);
  const layers = names.filter((name) => name.endsWith('.weight')).sort(inOrder);
  const unknown = names.find(
    (name) => !name.endsWith('.weight') && !layers.includes(name.replace(/\.bias$/, '.weight')),
  );
  if (layers.length === 0 || unknown !== undefined) {
    throw new SextantError(
      'data_invalid',
      `a network file holds NAME.weight and NAME.bias tensors only${unknown ? `, not ${unknown}` : ''}`,
    );
  }
  const network = layers.map((name, l) => {
    const weight = entries.find((entry) => entry.name === name)!;
    const bias = entries.find((entry) => entry.name === name.replace(/\.weight$/, '.bias'));
    const [outputs, inputs] = weight.shape as [number, number];
    if (weight.shape.length !== 2) {
      throw new SextantError('data_invalid', `${name} must be a matrix, its shape is [${weight.shape}]`);
    }
    return {
      inputs,
      outputs,
      weights: toFloat64(bytes(weight), weight.dtype),
      bias: bias ? toFloat64(bytes(bias), bias.dtype) : new Float64Array(outputs),
      activation: l === layers.length - 1 ? ('identity' as const) : ('relu' as const),
    };
  });
  checkNetwork(network);
  return network;
}

function readable(file: Uint8Array): Safetensors {
  try {
    return readSafetensors(file);
  } catch (error) {
    throw new SextantError(
      'data_invalid',
      `the file is not readable as safetensors: ${(error as Error).message.slice(0, 300)}`,
    );
  }
}
