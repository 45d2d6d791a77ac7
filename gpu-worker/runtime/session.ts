/** A compiled program on onnxruntime. */
import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node';
import type { Program } from '../graph/index.ts';
import { EngineError } from './errors.ts';
import { type FeedValue, fromRuntime, type HostTensor, toRuntime } from './values.ts';

export type Provider = 'cpu' | 'webgpu' | 'cuda';

export type SessionOptions = {
  provider?: Provider;
  /** Threads inside one operator; all cores by default. */
  threads?: number;
  /** Idle threads spin instead of sleeping: 15 % faster alone, twice as slow when anything else computes. */
  spinning?: boolean;
  /** Folder that the program's weight files lie in (real files, not links). */
  weightsFolder?: string;
  /** Graph optimisation level of onnxruntime; 'disabled' keeps 16-bit weights as they are stored. */
  optimisation?: 'disabled' | 'basic' | 'extended' | 'all';
  /**
   * Numbers below 1e-38 count as zero in the pool's threads: a softmax with masked entries is several times faster. The
   * calling thread keeps them, so such numbers may differ from run to run.
   */
  flushDenormals?: boolean;
  /** false: memory is given back after every run, not kept for the next. */
  arena?: boolean;
  /** false: constant matrices are multiplied as they are stored, without a packed copy of each. */
  prepacking?: boolean;
  /** Outputs to be left on the device. */
  onDevice?: (output: string) => boolean;
};

export class Session {
  readonly program: Program;
  readonly provider: Provider;
  readonly #inner: InferenceSession;
  #released = false;
  readonly #running = new Set<Promise<unknown>>();

  private constructor(program: Program, provider: Provider, inner: InferenceSession) {
    this.program = program;
    this.provider = provider;
    this.#inner = inner;
  }

  /** Loads a program. Raises `program_rejected` with the runtime's reason. */
  static async create(program: Program, options: SessionOptions = {}): Promise<Session> {
    const { provider = 'cpu', threads, spinning = true, weightsFolder, optimisation = 'all', onDevice } = options;
    if (program.weightFiles.length > 0 && weightsFolder === undefined) {
      throw new EngineError('program_rejected', `${program.name} reads weights from files: give weightsFolder`);
    }
    const locations = onDevice
      ? Object.fromEntries(program.outputs.map(({ name }) => [name, onDevice(name) ? 'gpu-buffer' : 'cpu'] as const))
      : undefined;
    try {
      const inner = await InferenceSession.create(program.bytes, {
        executionProviders: [provider],
        graphOptimizationLevel: optimisation,
        logSeverityLevel: 3,
        ...(options.arena === false && { enableCpuMemArena: false }),
        ...(threads !== undefined && { intraOpNumThreads: threads }),
        ...(locations && { preferredOutputLocation: locations }),
        extra: {
          session: {
            intra_op: { allow_spinning: spinning ? '1' : '0' },
            ...(options.flushDenormals && { set_denormal_as_zero: '1' }),
            ...(options.prepacking === false && { disable_prepacking: '1' }),
            ...(weightsFolder !== undefined && { model_external_initializers_file_folder_path: weightsFolder }),
          },
        },
      });
      return new Session(program, provider, inner);
    } catch (error) {
      throw new EngineError('program_rejected', `${program.name} on ${provider}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Runs once and returns every output on the host. */
  async run(feeds: Readonly<Record<string, FeedValue>>): Promise<Record<string, HostTensor>> {
    const results = await this.runRaw(feeds);
    return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromRuntime(tensor)]));
  }

  /** Runs once and returns the runtime's own tensors, which may lie on the device. */
  async runRaw(feeds: Readonly<Record<string, FeedValue>>): Promise<Record<string, OrtTensor>> {
    if (this.#released) {
      throw new EngineError('session_released', `${this.program.name} was released`);
    }
    const symbols = new Map<string, number>();
    const checked: Record<string, OrtTensor> = {};
    for (const port of this.program.inputs) {
      const value = feeds[port.name];
      if (value === undefined) {
        throw new EngineError('feed_missing', `${this.program.name}: no value for '${port.name}'`);
      }
      checked[port.name] = toRuntime(port, value, symbols);
    }
    for (const name of Object.keys(feeds)) {
      if (!(name in checked)) {
        throw new EngineError('feed_mismatch', `${this.program.name} has no input '${name}'`);
      }
    }
    const run = this.#inner.run(checked);
    this.#running.add(run);
    try {
      return (await run) as Record<string, OrtTensor>;
    } catch (error) {
      throw new EngineError('run_failed', `${this.program.name}: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#running.delete(run);
    }
  }

  /**
   * Gives the session's memory back when what runs has ended, and what was about to run when this was called; calling it twice
   * is harmless.
   */
  async release(): Promise<void> {
    await new Promise(setImmediate);
    await Promise.allSettled(this.#running);
    if (this.#released) {
      return;
    }
    this.#released = true;
    await this.#inner.release();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
