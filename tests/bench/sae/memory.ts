/** Peak resident memory of fast-path steps in a process of their own: `node memory.ts d P k B`. */

import { saeConfiguration } from '../../../gpu-worker/sae/training/configuration.ts';
import { FastTrainer } from '../../../gpu-worker/sae/training/fast-trainer.ts';
import { initialise } from '../../../gpu-worker/sae/training/initialise.ts';
import { stream } from '../../../shared/math/random.ts';

const [inputs, width, k, rows] = process.argv.slice(2).map(Number) as [number, number, number, number];
const complete = saeConfiguration({ variant: 'abstopk', inputs, width, k });
const trainer = new FastTrainer(complete, rows, initialise(complete, 0));
const x = stream(0, 'bench/x').normal32(rows * inputs, { deviation: 1 / Math.sqrt(inputs) });
for (let step = 0; step < 3; step++) {
  await trainer.step(x, 1e-4);
}
await trainer.close();
console.log(process.resourceUsage().maxRSS * 1024);
