/** Step by step with the state left on the device: for WebGPU, which has no `Loop`. */
import type { Tensor as DeviceTensor } from 'onnxruntime-node';
import * as g from '../graph/index.ts';
import { compileStep, nextName, type StepSpec } from '../graph/index.ts';
import { type FeedValue, Session, type SessionOptions } from '../runtime/index.ts';
import type { State, StepEngine } from './engine.ts';

export async function residentEngine(spec: StepSpec, initial: State, options: SessionOptions): Promise<StepEngine> {
  const names = spec.carried.map(({ leaf }) => g.nameOf(leaf));
  const carriedOutputs = new Set(names.map(nextName));
  const onDevice = (name: string) => carriedOutputs.has(name);
  const program = compileStep(spec, 'webgpu');
  const session = await Session.create(program, { ...options, provider: 'webgpu', onDevice });
  const reader = await readerOf(spec, options);
  const sender = await senderOf(spec, options);
  let state: Record<string, FeedValue> = { ...initial };
  return {
    provider: 'webgpu',
    async run(steps, perStep, shared) {
      let current = state;
      const resident = await sent(sender, shared);
      const rows = Object.fromEntries(Object.keys(spec.collected).map((name) => [name, [] as g.HostArray[]]));
      for (let step = 0; step < steps; step++) {
        const batch = Object.fromEntries(
          Object.entries(perStep).map(([name, data]) => {
            const size = data.length / steps;
            return [name, data.subarray(step * size, (step + 1) * size)];
          }),
        );
        const outputs = await session.runRaw({ ...current, ...batch, ...shared, ...resident });
        if (current !== state) {
          free(current);
        }
        current = Object.fromEntries(names.map((name) => [name, outputs[nextName(name)]!]));
        for (const [name, parts] of Object.entries(rows)) {
          parts.push(outputs[name]!.data as g.HostArray);
        }
      }
      free(resident);
      const metrics = Object.fromEntries(Object.entries(rows).map(([name, parts]) => [name, stack(parts)]));
      return { metrics, next: current };
    },
    accept(result) {
      if (result.next !== state) {
        free(state);
      }
      state = result.next as Record<string, FeedValue>;
    },
    discard({ next }) {
      if (next !== state) {
        free(next as Record<string, FeedValue>);
      }
    },
    async state(result) {
      const outputs = await reader.run((result?.next ?? state) as Record<string, FeedValue>);
      return Object.fromEntries(names.map((name) => [name, outputs[`${name}.host`]!.data]));
    },
    async release() {
      free(state);
      await sender?.release();
      await session.release();
      await reader.release();
    },
  };
}

function free(values: Readonly<Record<string, FeedValue>>): void {
  for (const value of Object.values(values)) {
    if (isDevice(value)) {
      value.dispose();
    }
  }
}

const isDevice = (value: FeedValue): value is DeviceTensor =>
  typeof value === 'object' && 'location' in value && value.location === 'gpu-buffer';

/** A program that copies the state to the host: reading a device tensor directly ends the process. */
function readerOf(spec: StepSpec, options: SessionOptions): Promise<Session> {
  const outputs = Object.fromEntries(
    spec.carried.map(({ leaf }) => [`${g.nameOf(leaf)}.host`, g.mul(leaf, g.scalar(1, leaf.dtype))]),
  );
  const program = g.compile(outputs, { name: `${spec.name}.read`, target: 'webgpu' });
  return Session.create(program, { ...options, provider: 'webgpu' });
}

/** Sends frozen parameters and other values that all steps of a chunk share; integers are computed on the host anyway. */
async function senderOf({ name, shared }: StepSpec, options: SessionOptions): Promise<Session | null> {
  const leaves = shared.filter(({ dtype }) => dtype === 'float32');
  if (leaves.length === 0) {
    return null;
  }
  const outputs = Object.fromEntries(leaves.map((leaf) => [nextName(g.nameOf(leaf)), leaf]));
  const program = g.compile(outputs, { name: `${name}.send`, target: 'webgpu' });
  return Session.create(program, { ...options, provider: 'webgpu', onDevice: () => true });
}

async function sent(sender: Session | null, values: Readonly<Record<string, FeedValue>>) {
  if (!sender) {
    return {};
  }
  const names = sender.program.inputs.map(({ name }) => name);
  const outputs = await sender.runRaw(Object.fromEntries(names.map((name) => [name, values[name]!])));
  return Object.fromEntries(names.map((name) => [name, outputs[nextName(name)]!]));
}

function stack(parts: readonly g.HostArray[]): g.HostArray {
  const [first] = parts;
  const whole = new (first!.constructor as new (n: number) => g.HostArray)(parts.length * first!.length);
  for (const [i, part] of parts.entries()) {
    whole.set(part as never, i * part.length);
  }
  return whole;
}
