/**
 * Ways of running a step program, one result: many steps in an ONNX `Loop` (cpu, cuda), in this thread or in one of its
 * own, or step by step with the state left on the device (webgpu).
 */
import type { HostArray } from '../graph/index.ts';
import type { StepSpec } from '../graph/loop.ts';
import type { FeedValue, Provider, SessionOptions } from '../runtime/index.ts';
import { loopEngine, loopPlan } from './loop-engine.ts';
import { residentEngine } from './resident-engine.ts';
import { threadedEngine } from './threaded-engine.ts';

export type State = Readonly<Record<string, HostArray>>;
export type StepResult = { metrics: Record<string, HostArray>; next: unknown };

export type StepEngine = {
  readonly provider: Provider;
  /** Computes `steps` steps from the current state; the state moves only when the result is accepted. */
  run(
    steps: number,
    perStep: Readonly<Record<string, HostArray>>,
    shared: Readonly<Record<string, FeedValue>>,
  ): Promise<StepResult>;
  accept(result: StepResult): void;
  /** Frees a result that was not accepted. */
  discard(result: StepResult): void;
  /** The state on the host, or the one that a result would lead to. */
  state(result?: StepResult): Promise<State>;
  release(): Promise<void>;
};

export type EngineOptions = SessionOptions & {
  provider: Provider;
  /** Compute in a thread of its own, so that JavaScript goes on meanwhile. Not for webgpu. */
  ownThread?: boolean;
};

export function createEngine(spec: StepSpec, initial: State, options: EngineOptions): Promise<StepEngine> {
  const { ownThread = false, ...session } = options;
  if (options.provider === 'webgpu') return residentEngine(spec, initial, session);
  const plan = loopPlan(spec, options.provider);
  return ownThread ? threadedEngine(plan, initial, session) : loopEngine(plan, initial, session);
}
