/**
 * Ways of running a step program, one result: many steps in an ONNX `Loop` (cpu, cuda),
 * or step by step with the state left on the device (webgpu).
 */
import type { StepSpec } from '../graph/index.ts';
import type { EngineOptions, State, StepEngine } from './engine.ts';
import { loopEngine, loopPlan } from './loop-engine.ts';
import { residentEngine } from './resident-engine.ts';

export function createEngine(spec: StepSpec, initial: State, options: EngineOptions): Promise<StepEngine> {
  if (options.provider === 'webgpu') {
    return residentEngine(spec, initial, options);
  }
  return loopEngine(loopPlan(spec, options.provider), initial, options);
}
