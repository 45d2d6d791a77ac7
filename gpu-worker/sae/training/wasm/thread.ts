/** A thread of the kernel pool: waits for a command in shared memory, runs the kernel, counts itself done. */
import { workerData } from 'node:worker_threads';
import { Instance, type Module, type SharedMemory } from '../../../wasm/webassembly.ts';
import { argumentsOf, COMMAND, DONE, KERNEL, SLOT } from './thread-layout.ts';

type Start = { module: Module; memory: SharedMemory; names: string[]; thread: number };

const { module, memory, names, thread } = workerData as Start;
const control = new Int32Array(memory.buffer, 0, SLOT / 4);
const slot = argumentsOf(memory, thread);
const { exports } = new Instance(module, { env: { memory } });
const kernels = names.map((name) => exports[name]!);

for (let seen = 0; ; ) {
  Atomics.wait(control, COMMAND, seen);
  const command = Atomics.load(control, COMMAND);
  if (command === seen) {
    continue;
  }
  seen = command;
  const kernel = Atomics.load(control, KERNEL);
  if (kernel < 0) {
    break;
  }
  if (slot[0]! > 0) {
    kernels[kernel]!(...slot.subarray(1, 1 + slot[0]!));
  }
  Atomics.add(control, DONE, 1);
  Atomics.notify(control, DONE);
}
