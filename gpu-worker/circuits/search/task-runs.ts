/** A task on a model: its plain runs, and runs in which nodes or edges are changed, over all batches. */
import { type Ablation, ablated } from '../network/ablation.ts';
import { HeadProgram } from '../network/head-program.ts';
import type { NodeModel } from '../network/node-model.ts';
import { patchedRun } from '../network/patched-run.ts';
import { type Recording, record } from '../network/recording.ts';
import { directLogits, finalStreams } from '../patching/direct-effect.ts';
import { EdgeRuns } from '../patching/edge-effects.ts';
import { patchedVariants } from '../patching/node-effects.ts';
import { TailRuns } from '../patching/tail-runs.ts';
import { batchesOf, type PairBatch } from '../tasks/batches.ts';
import { type Metric, measureRows } from '../tasks/metric.ts';
import type { Pair } from '../tasks/pair.ts';

/** Recordings of a task are kept up to this size. */
const KEPT_BYTES = 2 ** 28;

export type TaskSettings = {
  nodes: NodeModel;
  pairs: readonly Pair[];
  metric: Metric;
  ablation: Ablation;
  /** Most pairs of a batch. */
  batch: number;
  /** Names of positions at which nodes and edges are changed; null: all. */
  positions: readonly string[] | null;
  threads?: number;
};

type Recorded = {
  ids: (readonly number[])[];
  clean: { recording: Recording; logits: Float32Array };
  corrupted: { recording: Recording; logits: Float32Array };
  /** What ablated sources give. */
  reference: Recording;
  positions: Float32Array | null;
};

/** Values of the metric, one for each pair of the task. */
export type PerPair = Float64Array;

export class TaskRuns {
  readonly nodes: NodeModel;
  readonly pairs: readonly Pair[];
  readonly metric: Metric;
  readonly batches: readonly PairBatch[];
  readonly #settings: TaskSettings;
  readonly #programs: EdgeRuns;
  readonly #tails: TailRuns;
  #head: Promise<HeadProgram> | null = null;
  readonly #kept = new Map<PairBatch, Recorded>();
  #bytes = 0;

  constructor(settings: TaskSettings) {
    this.#settings = settings;
    this.nodes = settings.nodes;
    this.pairs = settings.pairs;
    this.metric = settings.metric;
    this.batches = batchesOf(settings.pairs, settings.batch);
    this.#programs = new EdgeRuns(settings.nodes, settings.threads);
    this.#tails = new TailRuns(settings.nodes, settings.threads);
  }

  async release(): Promise<void> {
    await this.#programs.release();
    await this.#tails.release();
    await (await this.#head)?.release();
  }

  /** Metric of the clean and of the corrupted prompts. */
  async plain(): Promise<{ clean: PerPair; corrupted: PerPair; accuracy: number; pairwise: number }> {
    const [clean, corrupted] = [this.#empty(), this.#empty()];
    let [right, above] = [0, 0];
    for (const batch of this.batches) {
      const recorded = await this.#recorded(batch);
      this.#place(clean, batch, recorded.clean.logits, recorded);
      this.#place(corrupted, batch, recorded.corrupted.logits, recorded);
      const difference = measureRows('logit_difference', recorded.clean.logits, batch.pairs);
      const vocabulary = recorded.clean.logits.length / batch.pairs.length;
      for (const [row, { answer }] of batch.pairs.entries()) {
        above += Number(difference[row]! > 0);
        const logits = recorded.clean.logits.subarray(row * vocabulary, (row + 1) * vocabulary);
        const most = logits.reduce((best, value, token) => (value > logits[best]! ? token : best), 0);
        right += Number(answer.includes(most));
      }
    }
    return { clean, corrupted, accuracy: right / this.pairs.length, pairwise: above / this.pairs.length };
  }

  /**
   * The metric with single sources changed, [sources][pairs]; everything behind them is computed again. `corrupt`: what they give
   * when ablated, in the clean run; `restore`: what they give in the clean run, in the corrupted one.
   */
  async patchedSources(
    sources: readonly number[],
    direction: 'corrupt' | 'restore' = 'corrupt',
    progress: (done: number) => void = () => {},
  ): Promise<PerPair[]> {
    const found = sources.map(() => this.#empty());
    this.#head ??= HeadProgram.open(this.nodes, this.#settings.threads);
    const head = await this.#head;
    for (const batch of this.batches) {
      const recorded = await this.#recorded(batch);
      const restore = direction === 'restore';
      const ids = restore ? batch.pairs.map(({ corrupted }) => corrupted) : recorded.ids;
      const { positions } = recorded;
      const [own, reference] = restore
        ? [recorded.corrupted.recording, recorded.clean.recording]
        : [recorded.clean.recording, recorded.reference];
      await this.#tails.run(ids, sources, { own, reference, positions }, head, (variant, logits) =>
        this.#place(found[variant]!, batch, logits, recorded),
      );
      progress(batch.pairs.length);
    }
    return found;
  }

  /**
   * The metric where a source's change reaches some readers alone: all other heads stay as in the clean run, MLPs too (`frozen`) or
   * not (`recomputed`).
   */
  async pathsTo(
    sources: readonly number[],
    readers: readonly number[],
    mlps: 'frozen' | 'recomputed',
    progress: (done: number) => void = () => {},
  ): Promise<PerPair[]> {
    const { graph } = this.nodes;
    const found = sources.map(() => this.#empty());
    for (const batch of this.batches) {
      const recorded = await this.#recorded(batch);
      const base = { reference: recorded.reference, positions: recorded.positions };
      const frozen = { at: recorded.clean.recording, mlps: mlps === 'frozen' };
      if (readers.length === 1 && readers[0] === graph.logits && recorded.positions === null) {
        if (mlps === 'frozen') {
          await this.#direct(batch, recorded, sources, found);
        } else {
          await patchedVariants(
            this.nodes,
            recorded.ids,
            sources.map((source) => [source]),
            { ...base, frozen },
            (variant, logits) => this.#place(found[variant]!, batch, logits, recorded),
          );
        }
      } else {
        for (const [i, source] of sources.entries()) {
          const { recording } = await patchedRun(
            this.nodes,
            recorded.ids,
            { ...base, frozen, sources: recorded.ids.map(() => [source]) },
            { record: true },
          );
          const share = new Float32Array(graph.sources.length * graph.readers.length);
          for (const reader of readers) {
            for (let from = 0; from < graph.sourcesOf(reader); from++) {
              share[graph.at({ source: from, reader })] = 1;
            }
          }
          await this.#programs.run({ ids: recorded.ids, reference: recording! }, [share], (_, logits) =>
            this.#place(found[i]!, batch, logits, recorded),
          );
        }
      }
      progress(batch.pairs.length);
    }
    return found;
  }

  async #direct(batch: PairBatch, recorded: Recorded, sources: readonly number[], found: PerPair[]): Promise<void> {
    const streams = await finalStreams(this.nodes, recorded.ids);
    this.#head ??= HeadProgram.open(this.nodes, this.#settings.threads);
    const logits = await directLogits(
      this.nodes,
      await this.#head,
      { streams, recording: recorded.clean.recording },
      recorded.reference,
      sources.flatMap((source) => batch.pairs.map((_, row) => ({ row, source }))),
    );
    const size = logits.length / sources.length;
    for (const i of sources.keys()) {
      this.#place(found[i]!, batch, logits.subarray(i * size, (i + 1) * size), recorded);
    }
  }

  /**
   * The metric of the clean prompts with edges changed to what their sources give when ablated, [variants][pairs].
   * @param shares of each variant, [sources, readers]; made again for every batch
   */
  async changedEdges(
    count: number,
    shares: () => Iterable<Float32Array>,
    progress: (done: number) => void = () => {},
  ): Promise<PerPair[]> {
    const found = Array.from({ length: count }, () => this.#empty());
    for (const batch of this.batches) {
      const recorded = await this.#recorded(batch);
      await this.#programs.run(
        { ids: recorded.ids, reference: recorded.reference, positions: recorded.positions },
        shares(),
        (variant, logits) => this.#place(found[variant]!, batch, logits, recorded),
      );
      progress(batch.pairs.length);
    }
    return found;
  }

  #empty(): PerPair {
    return new Float64Array(this.pairs.length);
  }

  #place(found: PerPair, batch: PairBatch, logits: Float32Array, recorded: Recorded): void {
    const values = measureRows(this.metric, logits, batch.pairs, recorded.clean.logits);
    for (const [row, at] of batch.at.entries()) {
      found[at] = values[row]!;
    }
  }

  async #recorded(batch: PairBatch): Promise<Recorded> {
    const known = this.#kept.get(batch);
    if (known) {
      return known;
    }
    const ids = batch.pairs.map(({ clean }) => clean);
    const clean = await record(this.nodes, ids);
    const corrupted = await record(
      this.nodes,
      batch.pairs.map(({ corrupted }) => corrupted),
    );
    const recorded = {
      ids,
      clean,
      corrupted,
      reference: await this.#reference(batch, corrupted.recording),
      positions: this.#positions(batch),
    };
    const bytes =
      3 * [...clean.recording.z, ...clean.recording.mlp].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (this.#bytes + bytes <= KEPT_BYTES) {
      this.#bytes += bytes;
      this.#kept.set(batch, recorded);
    }
    return recorded;
  }

  /** Means are taken over all corrupted prompts of the batch's length, and of its templates. */
  async #reference(batch: PairBatch, corrupted: Recording): Promise<Recording> {
    const { ablation } = this.#settings;
    if (ablation === 'patch' || ablation === 'zero') {
      return ablated(corrupted, ablation, []);
    }
    const length = batch.pairs[0]!.clean.length;
    const alike = this.pairs.flatMap((pair, i) => (pair.clean.length === length ? [i] : []));
    const { recording } = await record(
      this.nodes,
      alike.map((i) => this.pairs[i]!.corrupted),
    );
    const means = ablated(
      recording,
      ablation,
      alike.map((i) => this.pairs[i]!.template),
    );
    return rowsOf(
      means,
      batch.at.map((at) => alike.indexOf(at)),
    );
  }

  #positions(batch: PairBatch): Float32Array | null {
    const { positions } = this.#settings;
    if (positions === null) {
      return null;
    }
    const seq = batch.pairs[0]!.clean.length;
    const marked = new Float32Array(batch.pairs.length * seq);
    for (const [row, pair] of batch.pairs.entries()) {
      for (const name of positions) {
        marked[row * seq + pair.positions![name]!] = 1;
      }
    }
    return marked;
  }
}

/** Some rows of a recording. */
function rowsOf(recording: Recording, rows: readonly number[]): Recording {
  const { batch } = recording;
  const take = (values: Float32Array) => {
    const size = values.length / batch;
    const out = new Float32Array(rows.length * size);
    for (const [i, row] of rows.entries()) {
      out.set(values.subarray(row * size, (row + 1) * size), i * size);
    }
    return out;
  };
  return {
    batch: rows.length,
    seq: recording.seq,
    starts: rows.map((row) => recording.starts[row]!),
    input: take(recording.input),
    z: recording.z.map(take),
    mlp: recording.mlp.map(take),
  };
}
