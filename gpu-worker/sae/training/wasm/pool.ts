/** Shared memory and the threads that run kernels on it. */
import { Worker } from 'node:worker_threads';
import { SextantError } from '../../../../shared/contracts/problem.ts';
import { assemble } from '../../../wasm/assembler.ts';
import { Instance, Memory, Module, type SharedMemory } from '../../../wasm/webassembly.ts';
import { decode, groupByLatent } from './decode-kernel.ts';
import { argumentsOf, COMMAND, DONE, KERNEL, SLOT } from './thread-layout.ts';
import { decoderBiasGradient, updateRows, updateVector, weightGradients } from './update-kernel.ts';

const KERNELS = [decode, groupByLatent, weightGradients, updateRows, updateVector, decoderBiasGradient];
type KernelName =
  | 'decode'
  | 'group_by_latent'
  | 'weight_gradients'
  | 'update_rows'
  | 'update_vector'
  | 'decoder_bias_gradient';
/** Values of a kernel's parameters by name; arrays of the pool's memory stand for their address. */
type KernelArguments = Readonly<Record<string, number | Float32Array | Int32Array | Float64Array>>;

const PAGE = 65_536;
const MAXIMUM_PAGES = 65_536;
/** Rounds of looking at the counter before sleeping: a kernel often ends within microseconds of its neighbour. */
const SPINS = 2000;

export class KernelPool {
  readonly threads: number;
  readonly #memory: SharedMemory;
  readonly #control: Int32Array;
  readonly #own: readonly ((...values: number[]) => void)[];
  readonly #workers: Worker[] = [];
  #next: number;

  /**
   * @param bytes size of the arrays that will be allocated, each rounded up to 16 bytes
   * @param threads at least 1; the calling thread is one of them
   * Raises SextantError `memory_exceeded` when the sizes do not fit a 4 GiB address space.
   */
  constructor(bytes: number, threads: number) {
    const first = SLOT * (1 + threads);
    const pages = Math.ceil((first + bytes) / PAGE) + 1;
    if (pages > MAXIMUM_PAGES) {
      throw new SextantError(
        'memory_exceeded',
        `the fast path would need ${(bytes / 2 ** 30).toFixed(1)} GiB and can address 4; use the dense program`,
      );
    }
    this.threads = threads;
    this.#memory = new Memory({ initial: pages, maximum: pages, shared: true });
    this.#next = first;
    this.#control = new Int32Array(this.#memory.buffer, 0, SLOT / 4);
    const module = new Module(assemble(KERNELS, pages));
    const { exports } = new Instance(module, { env: { memory: this.#memory } });
    const names = KERNELS.map(({ name }) => name);
    this.#own = names.map((name) => exports[name]!);
    for (let thread = 1; thread < threads; thread++) {
      const workerData = { module, memory: this.#memory, names, thread };
      const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData });
      worker.unref();
      this.#workers.push(worker);
    }
  }

  #take(bytes: number): number {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 16) * 16;
    if (this.#next > this.#memory.buffer.byteLength) {
      throw new RangeError('the pool is smaller than what it was made for');
    }
    return at;
  }

  floats = (length: number): Float32Array => new Float32Array(this.#memory.buffer, this.#take(4 * length), length);
  integers = (length: number): Int32Array => new Int32Array(this.#memory.buffer, this.#take(4 * length), length);
  doubles = (length: number): Float64Array => new Float64Array(this.#memory.buffer, this.#take(8 * length), length);

  /** Runs a kernel on the calling thread. */
  run(name: KernelName, values: KernelArguments): void {
    const index = KERNELS.findIndex((kernel) => kernel.name === name);
    this.#own[index]!(...this.#list(index, values));
  }

  /**
   * Runs a kernel on every thread, each on its part of `cuts`: thread t takes `begin = cuts[t]` to `end = cuts[t + 1]`.
   * Returns when all are done.
   */
  share(name: KernelName, cuts: readonly number[], values: KernelArguments): void {
    const index = KERNELS.findIndex((kernel) => kernel.name === name);
    const part = (thread: number) => this.#list(index, { ...values, begin: cuts[thread]!, end: cuts[thread + 1]! });
    if (this.threads > 1) {
      for (let thread = 1; thread < this.threads; thread++) {
        const list = part(thread);
        const slot = argumentsOf(this.#memory, thread);
        slot[0] = list.length;
        slot.set(list, 1);
      }
      Atomics.store(this.#control, DONE, 0);
      Atomics.store(this.#control, KERNEL, index);
      Atomics.add(this.#control, COMMAND, 1);
      Atomics.notify(this.#control, COMMAND);
    }
    this.#own[index]!(...part(0));
    this.#join();
  }

  #join(): void {
    const others = this.threads - 1;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.load(this.#control, DONE) >= others) {
        return;
      }
    }
    for (;;) {
      const done = Atomics.load(this.#control, DONE);
      if (done >= others) {
        return;
      }
      Atomics.wait(this.#control, DONE, done);
    }
  }

  #list(index: number, values: KernelArguments): number[] {
    return Object.keys(KERNELS[index]!.parameters).map((name) => {
      const value = values[name];
      if (value === undefined) {
        throw new TypeError(`${KERNELS[index]!.name} needs ${name}`);
      }
      return typeof value === 'number' ? value : value.byteOffset;
    });
  }

  /** `n` items cut into one run per thread, at multiples of `step`. */
  evenly(n: number, step = 1): number[] {
    const units = Math.ceil(n / step);
    return Array.from({ length: this.threads + 1 }, (_, t) =>
      Math.min(n, Math.floor((units * t) / this.threads) * step),
    );
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    Atomics.store(this.#control, KERNEL, -1);
    Atomics.add(this.#control, COMMAND, 1);
    Atomics.notify(this.#control, COMMAND);
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
