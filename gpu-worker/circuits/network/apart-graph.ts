/** The graph of a model whose heads read streams of their own, over batches of any size. */
import * as g from '../../graph/index.ts';
import {
  type ModelFolder,
  makeBatch,
  maskName,
  type Parameters,
  type PartStreams,
  paddedMask,
  positionsOf,
  rotaryTables,
  TappedHookPoints,
  type TokenRows,
  transformer,
} from '../../lm/index.ts';
import { type FeedValue, type Provider, Session } from '../../runtime/index.ts';
import type { NodeModel } from './node-model.ts';
import { parts, type Recording } from './recording.ts';

type Tensor = g.Tensor;
/** Positions of a batch as rows. */
export const ROWS = 'batch*seq';

/**
 * Logits [batch, vocabulary] at each row's last position.
 * @param get the model's weights
 * @param edits functions of the values at hook points; the streams are asked for in the order of computation
 */
export function apartLogits(
  { architecture: a, weights }: ModelFolder,
  get: Parameters,
  streams: PartStreams,
  edits: readonly { hook: string; edit: (x: Tensor) => Tensor }[],
): Tensor {
  const half = (a.rope?.dims ?? 2) / 2;
  const tables = a.rope && { cosines: g.input('cosines', ['seq', half]), sines: g.input('sines', ['seq', half]) };
  const masks = new Map(
    a.windows.map((window) => [window, g.input(maskName(window), ['batch', 1, 1, 'seq', 'seq'])] as const),
  );
  const out = transformer(
    a,
    weights,
    get,
    {
      ids: g.input('ids', ['batch', 'seq'], 'int64'),
      positions: g.input('positions', ['batch', 'seq'], 'int64'),
      rotary: (layer) => (a.turned[layer] ? tables : null),
      mask: (layer) => masks.get(a.windows[layer]!)!,
      past: null,
      fused: null,
      streams,
    },
    new TappedHookPoints([], edits),
  );
  return out.logits(g.gather(out.final, g.input('last', ['batch'], 'int64')));
}

/** A compiled graph over a model's weights. @param outputs by name */
export async function openApart(
  { model }: NodeModel,
  outputs: Record<string, Tensor>,
  name: string,
  threads?: number,
): Promise<Session> {
  const provider: Provider = model.device;
  return Session.create(g.compile(outputs, { name, target: provider }), {
    provider,
    ...(threads !== undefined && { threads }),
    spinning: false,
    weightsFolder: model.folder.weightsPath,
    flushDenormals: true,
  });
}

/** The inputs that a batch of rows gives every such graph; only those that the program has. */
export function apartFeeds({ model }: NodeModel, session: Session, ids: TokenRows): Record<string, FeedValue> {
  const { architecture: a } = model;
  const made = makeBatch(a, ids);
  const { batch, seq, starts } = made;
  const tables = a.rope && rotaryTables(a.rope, seq);
  const half = (a.rope?.dims ?? 2) / 2;
  const feeds: Record<string, FeedValue> = {
    ids: { shape: [batch, seq], data: made.ids },
    positions: { shape: [batch, seq], data: positionsOf(starts, seq) },
    last: { shape: [batch], data: BigInt64Array.from(ids, (_, row) => BigInt((row + 1) * seq - 1)) },
    ...(tables && {
      cosines: { shape: [seq, half], data: tables.cosines },
      sines: { shape: [seq, half], data: tables.sines },
    }),
  };
  for (const window of new Set(a.windows)) {
    feeds[maskName(window)] = { shape: [batch, 1, 1, seq, seq], data: paddedMask(seq, window, starts) };
  }
  const used = new Set(session.program.inputs.map(({ name }) => name));
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name)));
}

/** A recording as inputs of a graph, called `PREFIX.PART`. */
export function recordingFeeds(prefix: string, recording: Recording): Record<string, FeedValue> {
  const { batch, seq } = recording;
  return Object.fromEntries(
    [...parts(recording)].map(({ name, values, width }) => [
      `${prefix}.${name}`,
      { shape: [batch, seq, width], data: values },
    ]),
  );
}
