/** Many steps in one call of an ONNX `Loop`: for the CPU and CUDA. */
import { compileLoop, nameOf, nextName, type Program, STEPS, type StepSpec } from '../graph/index.ts';
import { type FeedValue, type Provider, Session, type SessionOptions } from '../runtime/index.ts';
import type { State, StepEngine } from './engine.ts';

/** The compiled loop, and which of its outputs are state and which are metrics. */
type LoopPlan = { program: Program; carried: readonly string[]; collected: readonly string[] };

export const loopPlan = (spec: StepSpec, provider: Provider): LoopPlan => ({
  program: compileLoop(spec, provider),
  carried: spec.carried.map(({ leaf }) => nameOf(leaf)),
  collected: Object.keys(spec.collected),
});

export async function loopEngine(
  { program, carried, collected }: LoopPlan,
  initial: State,
  options: SessionOptions & { provider: Provider },
): Promise<StepEngine> {
  const session = await Session.create(program, options);
  let state = initial;
  const shapes = new Map(program.inputs.map((port) => [port.name, port.shape]));
  return {
    provider: options.provider,
    async run(steps, perStep, shared) {
      const feeds: Record<string, FeedValue> = { [STEPS]: steps, ...shared, ...state };
      for (const [name, data] of Object.entries(perStep)) {
        const shape = shapes.get(name);
        feeds[name] = shape ? { shape: [steps, ...(shape.slice(1) as number[])], data } : data;
      }
      const outputs = await session.run(feeds);
      const next = Object.fromEntries(carried.map((name) => [name, outputs[nextName(name)]!.data]));
      return { metrics: Object.fromEntries(collected.map((name) => [name, outputs[name]!.data])), next };
    },
    accept(result) {
      state = result.next as State;
    },
    discard() {},
    state: async (result) => (result ? (result.next as State) : state),
    release: () => session.release(),
  };
}
