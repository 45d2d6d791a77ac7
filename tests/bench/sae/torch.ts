/** Eager PyTorch in a child process, one measurement at a time. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export class TorchSteps {
  readonly version: string;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, version: string) {
    this.child = child;
    this.lines = lines;
    this.version = version;
  }

  /** @param folder where PyTorch was installed with `pip install --target` */
  static async start(folder: string, threads: number): Promise<TorchSteps> {
    const script = join(import.meta.dirname, 'steps.py');
    const child = spawn('python3', [script, String(threads)], { env: { ...process.env, PYTHONPATH: folder } });
    child.stderr.pipe(process.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error(`PyTorch did not start from ${folder}`);
    return new TorchSteps(child, lines, value);
  }

  /** Milliseconds per step. */
  async measure(variant: string, sizes: readonly number[], steps: number): Promise<number> {
    this.child.stdin.write(`${variant} ${sizes.join(' ')} ${steps}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`PyTorch ended while measuring ${variant}`);
    return (1000 * Number(value.split(' ')[0])) / steps;
  }

  stop(): void {
    this.child.stdin.end();
  }
}
