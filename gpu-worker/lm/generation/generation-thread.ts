/** The other side of `generation-threads.ts`: one model on one core. */
import { workerData } from 'node:worker_threads';
import { answerRequests } from '../../runtime/index.ts';
import { loadModel } from '../inference/model.ts';
import { generate } from './generate.ts';
import type { Request, Setup } from './generation-threads.ts';

const model = loadModel((workerData as Setup).path, { threads: 1 });
answerRequests(async ({ prompts, options }: Request) => generate(await model, prompts, options));
