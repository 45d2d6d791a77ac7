/** Gradients of a model's mean next-token loss by each of its weights, for one batch. */
import * as g from '../../graph/index.ts';
import { type FeedValue, type Provider, Session } from '../../runtime/index.ts';
import { makeBatch, type TokenRows } from '../inference/batch.ts';
import { named } from '../named.ts';
import { type ModelFolder, readWeight } from '../weights/folder.ts';
import { lossGraph } from './training-graph.ts';

/** The loss (nats per predicted token) and d loss / d weight of every weight. Rows must have equal lengths. */
export async function weightGradients(
  folder: ModelFolder,
  rows: TokenRows,
  { device = 'cpu' }: { device?: Provider } = {},
): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const { architecture: a, weights } = folder;
  const { ids, batch, seq } = makeBatch(a, rows);
  const size = seq - 1;
  const { loss, parameters } = lossGraph(a, weights, { batch, seq: size });
  const names = [...parameters.keys()];
  const slopes = g.gradients(loss, [...parameters.values()]);
  const outputs = Object.fromEntries(slopes.map((slope, i) => [`by ${names[i]}`, slope]));
  const session = await Session.create(g.compile({ loss, ...outputs }, { name: 'gradients', target: device }), {
    provider: device,
  });
  try {
    const feeds: Record<string, FeedValue> = {
      ids: new BigInt64Array(batch * size),
      labels: new BigInt64Array(batch * size),
    };
    for (let row = 0; row < batch; row++) {
      (feeds.ids as BigInt64Array).set(ids.subarray(row * seq, row * seq + size), row * size);
      (feeds.labels as BigInt64Array).set(ids.subarray(row * seq + 1, (row + 1) * seq), row * size);
    }
    for (const name of names) {
      feeds[name] = readWeight(folder, name);
    }
    const out = await session.run(feeds);
    return {
      loss: Number(named(out, 'loss').data[0]),
      gradients: new Map(names.map((name) => [name, named(out, `by ${name}`).data as Float32Array])),
    };
  } finally {
    await session.release();
  }
}
