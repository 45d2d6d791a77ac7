/** Decoding beside transformers and llama.cpp in turns, and the share of the memory's bandwidth that one stream takes. */
import { once } from 'node:events';
import { Worker as Reader } from 'node:worker_threads';
import { RunningBatch } from '../../../gpu-worker/lm/generation/running-batch.ts';
import { loadModel } from '../../../gpu-worker/lm/inference/model.ts';
import { readFolder } from '../../../gpu-worker/lm/weights/folder.ts';
import { CONFIG, generatedLlama } from '../lm/generated.ts';
import { startLlamaCpp } from '../lm/llama-cpp.ts';
import type { MeasuredProcess } from '../lm/measured-process.ts';
import { startTransformers } from '../lm/transformers.ts';
import { interleaved, ratios, summary, timed } from '../pairs.ts';
import { type Measure, ROWS, THREADS, TOKENS } from './measure.ts';

/** Bytes a second that both cores together read from memory: sums over arrays that no cache holds, the best of some rounds. */
async function bandwidth(): Promise<number> {
  const megabytes = 256;
  const program = `
    const a = new Float64Array(${megabytes} * 131072).fill(1);
    require('node:worker_threads').parentPort.on('message', () => {
      let [p, q, r, s] = [0, 0, 0, 0];
      for (let i = 0; i < a.length; i += 8) { p += a[i]; q += a[i + 2]; r += a[i + 4]; s += a[i + 6]; }
      require('node:worker_threads').parentPort.postMessage(p + q + r + s);
    });`;
  const readers = Array.from({ length: THREADS }, () => new Reader(program, { eval: true }));
  const round = () =>
    Promise.all(
      readers.map((reader) => {
        const answered = once(reader, 'message');
        reader.postMessage(null);
        return answered;
      }),
    );
  await round();
  const times: number[] = [];
  for (let i = 0; i < 8; i++) {
    times.push(await timed(round));
  }
  await Promise.all(readers.map((reader) => reader.terminate()));
  return (THREADS * megabytes * 2 ** 20 * 1000) / Math.min(...times);
}

export const decode: Measure = async (add, rounds, { torch, llama }) => {
  const folder = generatedLlama(CONFIG);
  const model = await loadModel(folder, { threads: THREADS });
  const batch = new RunningBatch(model, 0);
  const sides: Record<string, MeasuredProcess> = {};
  try {
    if (torch) {
      sides.transformers = await startTransformers(torch, folder, THREADS);
    }
    for (const quantised of llama ? [false, true] : []) {
      const side = await startLlamaCpp(llama!, folder, { threads: THREADS, rows: ROWS, quantised });
      sides[`llama.cpp ${side.version}, ${quantised ? 'Q8_0' : 'float32'}`] = side;
    }
    for (const rows of [1, ROWS]) {
      const ids = Array.from({ length: 16 }, (_, i) => (i * 17 + 5) % model.architecture.vocabulary);
      const options = { maxTokens: TOKENS, stopTokens: [] };
      const task = { op: 'decode', batch: rows, seq: 16, tokens: TOKENS } as const;
      const theirs = Object.entries(sides).map(([name, side]) => [name, () => side.time(task)] as const);
      const times = await interleaved(Math.min(rounds, 8), {
        ours: () =>
          timed(() =>
            Promise.all(Array.from({ length: rows }, () => batch.generate([ids], options, { owner: 'bench' }))),
          ),
        ...Object.fromEntries(theirs),
      });
      const [what, target] = [`decoding 61 M parameters, ${rows} at a time`, rows === 1 ? '1.5' : '3'];
      for (const against of Object.keys(sides)) {
        const figure = summary(ratios(times[against]!, times.ours!));
        add({ what: `${what}, in the running batch`, figure, unit: 'times as fast', against, target });
      }
      const rate = times.ours!.map((ms) => (1000 * rows * TOKENS) / ms);
      add({ what, figure: summary(rate), unit: 'tokens/s', against: '', target: '' });
      if (rows === 1) {
        const most = await bandwidth();
        const share = rate.map((tokens) => (100 * tokens * readFolder(folder).bytes) / most);
        const against = `of ${(most / 1e9).toFixed(1)} GB/s that ${THREADS} threads read`;
        add({ what: `${what}: weights read`, figure: summary(share), unit: '%', against, target: '' });
      }
    }
  } finally {
    for (const side of Object.values(sides)) {
      side.stop();
    }
    await model.release();
  }
};
