/**
 * The stream is computed as rows [batch * seq, width]: a weight then meets one tall matrix, which is read once however
 * many rows the batch has. Attention and hook points see the same numbers as [batch, seq, width].
 */
import type { HookKind } from '../../../shared/models/hooks.ts';
import * as g from '../../graph/index.ts';
import type { HookPoints } from './hook-points.ts';

export class Grid {
  readonly batch: g.Dim;
  readonly seq: g.Dim;
  readonly rows: g.Dim;
  readonly #ids: g.Tensor;

  /** `ids` is [batch, seq] and lends its sizes. */
  constructor(ids: g.Tensor) {
    const [batch, seq] = ids.shape as [g.Dim, g.Dim];
    this.batch = batch;
    this.seq = seq;
    this.rows = typeof batch === 'number' && typeof seq === 'number' ? batch * seq : `${batch}*${seq}`;
    this.#ids = ids;
  }

  /** [rows, width] as [batch, seq, ...rest]; by default rest = [width]. */
  split(x: g.Tensor, rest: g.Shape = x.shape.slice(1)): g.Tensor {
    return g.reshape(x, [this.batch, this.seq, ...rest], this.#ids);
  }

  /** [batch, seq, ...] as [rows, width]. */
  join(x: g.Tensor, width: number): g.Tensor {
    return g.reshape(x, [this.rows, width]);
  }

  /** Any shape made of the batch's sizes. */
  shaped(x: g.Tensor, shape: g.Shape): g.Tensor {
    return g.reshape(x, shape, this.#ids);
  }

  /** Rows through a hook point. */
  at(hookPoints: HookPoints, kind: HookKind, layer: number, x: g.Tensor, head?: number): g.Tensor {
    if (!hookPoints.has(kind, layer, head)) {
      return x;
    }
    const before = this.split(x);
    const after = hookPoints.at(kind, layer, before, head);
    return after === before ? x : this.join(after, x.shape[1] as number);
  }
}
