/** PyTorch in a child process, asked for one measurement at a time so that it interleaves with ours. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export class Torch {
  readonly version: string;
  private readonly process: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, version: string) {
    this.process = child;
    this.lines = lines;
    this.version = version;
  }

  /** @param folder where PyTorch was installed with `pip install --target` */
  static async start(folder: string, threads: number): Promise<Torch> {
    const script = join(import.meta.dirname, 'steps.py');
    const child = spawn('python3', [script, String(threads)], { env: { ...process.env, PYTHONPATH: folder } });
    child.stderr.pipe(process.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error(`PyTorch did not start from ${folder}`);
    return new Torch(child, lines, value);
  }

  /** Seconds per step. */
  async measure(model: string, steps: number): Promise<number> {
    this.process.stdin.write(`${model} ${steps}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`PyTorch ended while measuring ${model}`);
    return Number(value) / steps;
  }

  stop(): void {
    this.process.stdin.end();
  }
}
