/** PyTorch in a child process, asked for one measurement at a time so that it interleaves with ours. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Torch {
  readonly version: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, version: string) {
    this.#process = child;
    this.#lines = lines;
    this.version = version;
  }

  /**
   * @param script prints its PyTorch version, then answers every line of its input with seconds (and maybe more)
   * @param folder where PyTorch was installed with `pip install --target`
   * @param rest further arguments of the script
   */
  static async start(script: string, folder: string, threads: number, ...rest: string[]): Promise<Torch> {
    const child = spawn('python3', [script, String(threads), ...rest], { env: { ...process.env, PYTHONPATH: folder } });
    child.stderr.pipe(process.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) {
      throw new Error(`PyTorch did not start from ${folder}`);
    }
    return new Torch(child, lines, value);
  }

  /** Seconds that the script took for what the line asks, and what it says behind them. */
  async ask(line: string): Promise<{ seconds: number; answer: string }> {
    this.#process.stdin.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done) {
      throw new Error(`PyTorch ended while measuring ${line}`);
    }
    const [seconds, ...answer] = value.split(' ');
    return { seconds: Number(seconds), answer: answer.join(' ') };
  }

  /** The seconds alone. */
  measure = async (line: string): Promise<number> => (await this.ask(line)).seconds;

  stop(): void {
    this.#process.stdin.end();
  }
}
