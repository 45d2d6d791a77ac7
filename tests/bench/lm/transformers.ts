/** The same work done by PyTorch and transformers in a child process, on command, for interleaved pairs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const PROGRAM = `
import json, sys, time, warnings
warnings.filterwarnings('ignore')
import torch
torch.set_num_threads(int(sys.argv[2]))
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], attn_implementation='eager', dtype=torch.float32).eval()
vocabulary = model.config.vocab_size
print(json.dumps({'torch': torch.__version__}), flush=True)
for line in sys.stdin:
    task = json.loads(line)
    ids = torch.tensor([[(r * 31 + i * 17 + 5) % vocabulary for i in range(task['seq'])] for r in range(task['batch'])])
    with torch.no_grad():
        start = time.perf_counter()
        if task['op'] == 'prefill':
            model(ids, use_cache=False)
        else:
            n = task['tokens']
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0)
        print((time.perf_counter() - start) * 1000, flush=True)
`;

export type Task = { op: 'prefill' | 'decode'; batch: number; seq: number; tokens?: number };

export class Transformers {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  version = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** Loads the model of `folder` with the packages installed in `packages`. */
  static async start(packages: string, folder: string, threads: number): Promise<Transformers> {
    const child = spawn('python3', ['-c', PROGRAM, folder, String(threads)], {
      env: { ...process.env, PYTHONPATH: packages },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const side = new Transformers(child);
    side.version = (JSON.parse(await side.#next()) as { torch: string }).torch;
    return side;
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) {
      throw new Error('the transformers process ended');
    }
    return value;
  }

  /** Milliseconds that a task took. */
  async time(task: Task): Promise<number> {
    this.#child.stdin!.write(`${JSON.stringify(task)}\n`);
    return Number(await this.#next());
  }

  stop(): void {
    this.#child.stdin!.end();
  }
}
