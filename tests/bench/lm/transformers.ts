/** The same work done by PyTorch and transformers in a child process, on command, for interleaved pairs. */
import { MeasuredProcess } from './measured-process.ts';

const PROGRAM = `
import json, sys, time, warnings
warnings.filterwarnings('ignore')
import torch
torch.set_num_threads(int(sys.argv[2]))
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], attn_implementation='eager', dtype=torch.float32).eval()
vocabulary = model.config.vocab_size
print(torch.__version__, flush=True)
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

/** Loads the model of `folder` with the packages installed in `packages`. */
export const startTransformers = (packages: string, folder: string, threads: number): Promise<MeasuredProcess> =>
  MeasuredProcess.start('python3', ['-c', PROGRAM, folder, String(threads)], {
    env: { ...process.env, PYTHONPATH: packages },
  });
