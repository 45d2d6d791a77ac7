/** Convolution and pooling over images laid out [batch, height, width, channels], made of parts, joins and one product. */
import * as g from '../../graph/index.ts';
import { normal, zeros } from '../../nn/index.ts';

/** All windows of `size` along an axis, joined along the channels. */
const windows = (x: g.Tensor, axis: 1 | 2, size: number): g.Tensor => {
  const places = (x.shape[axis] as number) - size + 1;
  return g.concat(
    Array.from({ length: size }, (_, at) => g.slice(x, axis, at, at + places)),
    3,
  );
};

/** A square kernel of odd or even size without stride: parameters `name.weight` [size size channels, outputs], `name.bias`. */
export function convolution(name: string, x: g.Tensor, outputs: number, size: number, padding = 0): g.Tensor {
  const padded = [1, 2].reduce((value, axis) => g.pad(value, axis, padding, padding), x);
  const patches = windows(windows(padded, 2, size), 1, size);
  const inputs = patches.shape[3] as number;
  const weight = g.parameter(`${name}.weight`, [inputs, outputs], normal(Math.sqrt(2 / inputs)));
  return g.add(g.matmul(patches, weight), g.parameter(`${name}.bias`, [outputs], zeros));
}

/** Largest value of each 2 x 2 square. */
export function maxPool(x: g.Tensor): g.Tensor {
  const [batch, height, width, channels] = x.shape as [g.Dim, number, number, number];
  return g.max(g.reshape(x, [batch, height / 2, 2, width / 2, 2, channels]), [2, 4]);
}
