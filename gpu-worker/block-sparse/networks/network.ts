/** The networks that are trained block-wise sparse. Their linear layers are made by a method; all else is dense. */
import * as g from '../../graph/index.ts';
import { attention, layerNorm, normal } from '../../nn/index.ts';
import { convolution, maxPool } from './images.ts';

export type ImageSize = { height: number; width: number; channels: number };
export type NetworkSpec =
  | { kind: 'linear' }
  | { kind: 'mlp'; widths: readonly number[] }
  | { kind: 'lenet' }
  | { kind: 'vit'; patch: number; width: number; depth: number; heads: number };

/** Makes a linear layer over the last axis, bias included. */
type LinearMaker = (name: string, x: g.Tensor, outputs: number) => g.Tensor;

/**
 * Outputs [batch, outputs] of a network over x [batch, inputs].
 * @param image needed by networks over images; x then holds height, width, channels, row-major
 */
export function networkOutput(
  spec: NetworkSpec,
  x: g.Tensor,
  { outputs, image }: { outputs: number; image?: ImageSize },
  linear: LinearMaker,
): g.Tensor {
  switch (spec.kind) {
    case 'linear':
      return linear('head', x, outputs);
    case 'mlp': {
      const hidden = spec.widths.reduce((value, width, i) => g.relu(linear(`fc${i + 1}`, value, width)), x);
      return linear('head', hidden, outputs);
    }
    case 'lenet':
      return lenet(asImages(x, image), outputs, linear);
    case 'vit':
      return visionTransformer(spec, asImages(x, image), outputs, linear);
    default:
      return spec satisfies never;
  }
}

function asImages(x: g.Tensor, image: ImageSize | undefined): g.Tensor {
  if (!image) {
    throw new RangeError('a network over images needs their size');
  }
  return g.reshape(x, [x.shape[0]!, image.height, image.width, image.channels]);
}

/** LeNet-5 (LeCun et al. 1998) as it is built today: rectifiers, largest values, 61,706 numbers for 28 x 28 and 10 classes. */
function lenet(x: g.Tensor, outputs: number, linear: LinearMaker): g.Tensor {
  const first = maxPool(g.relu(convolution('conv1', x, 6, 5, 2)));
  const second = maxPool(g.relu(convolution('conv2', first, 16, 5)));
  const flat = g.reshape(second, [x.shape[0]!, (second.shape.slice(1) as number[]).reduce((a, b) => a * b, 1)]);
  const hidden = g.relu(linear('fc2', g.relu(linear('fc1', flat, 120)), 84));
  return linear('head', hidden, outputs);
}

/** A small vision transformer (Dosovitskiy et al. 2021) with the mean over patches in place of a class token. */
function visionTransformer(
  { patch, width, depth, heads }: Extract<NetworkSpec, { kind: 'vit' }>,
  x: g.Tensor,
  outputs: number,
  linear: LinearMaker,
): g.Tensor {
  const [batch, rows, columns, channels] = x.shape as [g.Dim, number, number, number];
  const [down, across] = [rows / patch, columns / patch];
  const cut = g.transpose(g.reshape(x, [batch, down, patch, across, patch, channels]), [0, 1, 3, 2, 4, 5]);
  const patches = g.reshape(cut, [batch, down * across, patch * patch * channels]);
  // The embedding is a convolution over patches, which stays dense as all convolutions do.
  const embedding = g.parameter('embed.weight', [patch * patch * channels, width], normal(0.02 + 1 / patch ** 2));
  const positions = g.parameter('positions', [down * across, width], normal(0.02));
  let h = g.add(g.matmul(patches, embedding), positions);
  for (let i = 0; i < depth; i++) {
    const qkv = linear(`blocks.${i}.qkv`, layerNorm(`blocks.${i}.norm1`, h), 3 * width);
    const [q, k, v] = g.split(qkv, [width, width, width]) as [g.Tensor, g.Tensor, g.Tensor];
    h = g.add(h, linear(`blocks.${i}.proj`, attention([q, k, v], heads), width));
    const wide = g.gelu(linear(`blocks.${i}.fc1`, layerNorm(`blocks.${i}.norm2`, h), 4 * width));
    h = g.add(h, linear(`blocks.${i}.fc2`, wide, width));
  }
  return linear('head', g.mean(layerNorm('norm', h), 1), outputs);
}

/** Multiply-adds for one image outside the linear layers: convolutions and the products of attention. */
export function otherMacs(spec: NetworkSpec, image?: ImageSize): number {
  if (spec.kind === 'linear' || spec.kind === 'mlp' || !image) {
    return 0;
  }
  const { height, width, channels } = image;
  if (spec.kind === 'lenet') {
    // The second convolution sees half the size, and has no padding.
    const second = (height / 2 - 4) * (width / 2 - 4);
    return height * width * 25 * channels * 6 + second * 25 * 6 * 16;
  }
  const tokens = (height / spec.patch) * (width / spec.patch);
  const embedding = tokens * spec.patch ** 2 * channels * spec.width;
  return embedding + spec.depth * 2 * tokens ** 2 * spec.width;
}
