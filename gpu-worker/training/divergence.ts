/** What to say when a loss stops being a number. */
import * as g from '../graph/index.ts';
import { EngineError, type FeedValue, Session } from '../runtime/index.ts';
import type { StepEngine } from './engine.ts';
import type { TrainingStep } from './program.ts';

type Failure = {
  steps: number;
  /** Index of the failing step within the chunk. */
  bad: number;
  perStep: Readonly<Record<string, g.HostArray>>;
  shared: Readonly<Record<string, FeedValue>>;
  /** Steps done before the chunk. */
  done: number;
  loss: number;
};

/**
 * The error for a loss that is NaN or infinite. The chunk is computed again up to the step before, whose gradients tell
 * where the numbers grew; a normal run pays nothing for this.
 */
export async function divergence(plan: TrainingStep, engine: StepEngine, failure: Failure): Promise<EngineError> {
  const { spec } = plan;
  const step = failure.done + failure.bad + 1;
  const largest = await largestGradient(plan, engine, failure);
  const message = `${spec.name}: the loss is ${failure.loss} at step ${step}; largest gradient ${largest}`;
  return new EngineError('loss_not_finite', message);
}

async function largestGradient(
  { spec, gradients }: TrainingStep,
  engine: StepEngine,
  failure: Failure,
): Promise<string> {
  const rows = (data: g.HostArray, from: number, to: number) => {
    const size = data.length / failure.steps;
    return data.subarray(from * size, to * size);
  };
  const part = (from: number, to: number) =>
    Object.fromEntries(Object.entries(failure.perStep).map(([name, data]) => [name, rows(data, from, to)]));
  // The last step with a finite loss; the failing one itself if it is the first of the chunk.
  const at = Math.max(failure.bad - 1, 0);
  const before = at > 0 ? await engine.run(at, part(0, at), failure.shared) : undefined;
  const state = await engine.state(before);
  if (before) {
    engine.discard(before);
  }
  const program = g.compile(
    Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [`of ${name}`, g.max(g.abs(gradient))])),
    { name: `${spec.name}.gradients` },
  );
  const known: Readonly<Record<string, FeedValue>> = { ...failure.shared, ...state, ...part(at, at + 1) };
  const session = await Session.create(program, { threads: 1 });
  const outputs = await session.run(Object.fromEntries(program.inputs.map(({ name }) => [name, known[name]!])));
  await session.release();
  const sizes = Object.keys(gradients).map((name) => [name, Number(outputs[`of ${name}`]!.data[0])] as const);
  const rank = ([, size]: readonly [string, number]) => (Number.isFinite(size) ? size : Number.POSITIVE_INFINITY);
  const [name, size] = sizes.reduce((best, item) => (rank(item) > rank(best) ? item : best));
  return `${size} in '${name}' at step ${failure.done + at + 1}`;
}
