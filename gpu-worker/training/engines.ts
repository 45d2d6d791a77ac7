/**
 * Ways of running a step program, one result: many steps in an ONNX `Loop` (cpu, cuda), in this thread or in one of its
 * own, or step by step with the state left on the device (webgpu).
 */
import type { StepSpec } from '../graph/index.ts';
import type { EngineOptions, State, StepEngine } from './engine.ts';
import { loopEngine, loopPlan } from './loop-engine.ts';
import { residentEngine } from './resident-engine.ts';
import { threadedEngine } from './threaded-engine.ts';

export function createEngine(spec: StepSpec, initial: State, options: EngineOptions): Promise<StepEngine> {
  const { ownThread = false, ...session } = options;
  if (options.provider === 'webgpu') return residentEngine(spec, initial, session);
  const plan = loopPlan(spec, options.provider);
  return ownThread ? threadedEngine(plan, initial, session) : loopEngine(plan, initial, session);
}
