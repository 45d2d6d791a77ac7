/** Gradients defined by the user. */
import { GraphError } from '../errors.ts';
import { sameShape } from '../shape.ts';
import { type AnyOperator, applyOne, type Operator, type Tensor } from '../tensor.ts';

/** Value of the first input; the gradients of the others are what `backward` makes of the gradient of that value. */
const WithGradient: Operator<{ backward(dy: Tensor): readonly (Tensor | undefined)[] }, 'many'> = {
  name: 'WithGradient',
  infer: ([value]) => [{ dtype: value.dtype, shape: value.shape }],
  onnx: (_, [value]) => [value],
  evaluate: ([value]) => [value.data],
  gradient({ inputs: [, ...sources], by: [dy], attributes: { backward } }) {
    const gradients = backward(dy);
    sources.forEach((source, i) => {
      const gradient = gradients[i];
      if (gradient && !sameShape(gradient.shape, source.shape)) {
        throw new GraphError('shape_mismatch', `user-defined gradient ${gradient} of a tensor ${source}`);
      }
    });
    return [undefined, ...gradients];
  },
};
/**
 * `value` with a gradient of its own: `backward` gets the gradient by `value` and returns one gradient (or undefined)
 * for each of `sources`. Nothing flows through `value` itself.
 */
export const withGradient = (
  value: Tensor,
  sources: readonly Tensor[],
  backward: (dy: Tensor) => readonly (Tensor | undefined)[],
): Tensor => applyOne(WithGradient, [value, ...sources], { backward });

/** The straight-through estimator (Bengio et al. 2013): the value of `value`, the gradient as if it were `source`. */
export const straightThrough = (value: Tensor, source: Tensor): Tensor => withGradient(value, [source], (dy) => [dy]);

export const custom: readonly AnyOperator[] = [WithGradient];
