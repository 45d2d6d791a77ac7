/** What a lookahead-fair predictor is, as its document says it and as its compiler leaves it. */
import type { CompiledScm, LinearScm } from './scm.ts';
import type { OuterForm, Shape, StatusCurve } from './shape.ts';

/**
 * `statusObserved`: rows carry the status, so all of U is known. Otherwise the status's own exogenous variable is averaged
 * over its prior (`noise`), the published score does not contain it and nobody can move it: T leaves it out.
 * `path.fair`: variables whose direct attribute effect is fair; `path.frozen`: these variables do not react (their U stays).
 * With a `curve`, the model's status variable is the index V and rows carry the status f(V).
 */
export type LookaheadPredictor = {
  scm: LinearScm;
  eta: number;
  rho: number;
  statusObserved: boolean;
  noise: { mean: number; variance: number };
  path?: { fair: readonly string[]; frozen: boolean };
  outer?: OuterForm;
  curve?: StatusCurve;
  /** Least index (status, without a curve) of any world, for a power; rows below it are refused. */
  lowest?: number;
  p2: number;
  p3: number;
  /** Coefficient of each variable's U in h, by name; the status's own only where the status is observed. */
  free: Readonly<Record<string, number>>;
};

export type CompiledLookahead = {
  predictor: LookaheadPredictor;
  scm: CompiledScm;
  /** Variables a row holds, in topological order: all but the status, or all where the status is observed. */
  inputs: readonly string[];
  constant: number;
  p1: number;
  shape: Shape;
  /** The future gap as a share of the present one, |1 - rho|; null where it differs between people. */
  factor: number | null;
  frozen: Uint8Array;
  /** Input that holds the status, -1 where rows lack it. */
  statusColumn: number;
  /** What h alone moves the index by. */
  drift: number;
  /** Row r: E[Y] under factual value a is statusBase[a] + statusWeights . x. */
  statusBase: Float64Array;
  statusWeights: Float64Array;
  /** shift[a * V + b] = E[Yc_b] - E[Y] for a person of value a. */
  shift: Float64Array;
  /** h . U = freeBase[a] + freeWeights . x. */
  freeBase: Float64Array;
  freeWeights: Float64Array;
  /** Variance of Yc that is not identified. */
  unknown: number;
};
