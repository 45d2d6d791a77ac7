/** Effects on the logits alone: by the final norm's own formula, without another run of the model. */
import { readWeight } from '../../lm/index.ts';
import type { HeadProgram } from '../network/head-program.ts';
import { LastOutputs } from '../network/last-outputs.ts';
import type { NodeModel } from '../network/node-model.ts';
import type { Recording } from '../network/recording.ts';
import type { Pair } from '../tasks/pair.ts';

/** The streams [rows, width] that leave the last block at each row's last position. */
export async function finalStreams(
  { model, graph }: NodeModel,
  ids: readonly ArrayLike<number>[],
): Promise<Float32Array> {
  const hook = `resid_post.${graph.layers - 1}`;
  const { taps } = await model.forward({ ids, taps: [hook], tapAt: 'last', logits: 'none' });
  return taps[hook]!.data;
}

/**
 * Logits [rows, vocabulary] of the clean run where one source adds what it gives in another run, and nothing else changes but
 * the final norm: the path from the source straight to the logits.
 * @param changes of each row: the row of the recordings, and the source
 */
export async function directLogits(
  nodes: NodeModel,
  head: HeadProgram,
  clean: { streams: Float32Array; recording: Recording },
  other: Recording,
  changes: readonly { row: number; source: number }[],
): Promise<Float32Array> {
  const { width } = nodes.model.architecture;
  const outputs = new LastOutputs(nodes);
  const rows = new Float32Array(changes.length * width);
  for (const [i, { row, source }] of changes.entries()) {
    const [here, there] = [outputs.of(clean.recording, row, source), outputs.of(other, row, source)];
    for (let j = 0; j < width; j++) {
      rows[i * width + j] = clean.streams[row * width + j]! + there[j]! - here[j]!;
    }
  }
  return head.logits(rows);
}

type DirectAttribution = {
  /** [rows, sources]: what each source adds to the logit difference, with the final norm as it stands. */
  sources: Float64Array;
  /** [rows]: what no source adds, which is the biases of the output projections and of the final norm. */
  biases: Float64Array;
};

/**
 * The logit difference of single tokens (of sets: their mean logits) as a sum over sources; with the biases it is the whole,
 * up to a cap of the logits.
 */
export function directAttribution(
  nodes: NodeModel,
  recording: Recording,
  streams: Float32Array,
  pairs: readonly Pick<Pair, 'answer' | 'other'>[],
): DirectAttribution {
  const { folder, architecture: a } = nodes.model;
  const { width } = a;
  const count = nodes.graph.sources.length;
  const outputs = new LastOutputs(nodes);
  const scale = readWeight(folder, folder.weights.finalNorm.weight.name).map((value) => value + a.norm.weightOffset);
  const shift = folder.weights.finalNorm.bias ? readWeight(folder, folder.weights.finalNorm.bias.name) : null;
  const head = readWeight(folder, folder.weights.head.weight.name);
  const tokenBias = folder.weights.head.bias ? readWeight(folder, folder.weights.head.bias.name) : null;
  const outputBiases = folder.weights.layers.flatMap(({ output: { bias } }) =>
    bias ? [Float64Array.from(readWeight(folder, bias.name))] : [],
  );
  const inOut = folder.weights.head.layout === 'in_out';
  const unembed = (token: number, i: number) => head[inOut ? i * a.vocabulary + token : token * width + i]!;
  const found = { sources: new Float64Array(pairs.length * count), biases: new Float64Array(pairs.length) };
  for (const [row, { answer, other }] of pairs.entries()) {
    const direction = new Float64Array(width);
    const along = (tokens: readonly number[], sign: number) => {
      for (const token of tokens) {
        for (let i = 0; i < width; i++) {
          direction[i]! += (sign * unembed(token, i)) / tokens.length;
        }
        found.biases[row]! += (sign * (tokenBias?.[token] ?? 0)) / tokens.length;
      }
    };
    along(answer, 1);
    along(other, -1);
    const stream = Float64Array.from(streams.subarray(row * width, (row + 1) * width));
    const centre = (x: Float64Array) =>
      a.norm.kind === 'layer' ? x.reduce((sum, value) => sum + value, 0) / width : 0;
    const middle = centre(stream);
    const size = Math.sqrt(stream.reduce((sum, value) => sum + (value - middle) ** 2, 0) / width + a.norm.eps);
    const through = (x: Float64Array) => {
      const own = centre(x);
      return x.reduce((sum, value, i) => sum + ((value - own) / size) * scale[i]! * direction[i]!, 0);
    };
    for (let source = 0; source < count; source++) {
      found.sources[row * count + source] = through(outputs.of(recording, row, source));
    }
    for (const bias of outputBiases) {
      found.biases[row]! += through(bias);
    }
    found.biases[row]! += shift ? direction.reduce((sum, value, i) => sum + value * shift[i]!, 0) : 0;
  }
  return found;
}
