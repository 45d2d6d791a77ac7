/** A loaded language model: forward passes with taps and interventions. */
import { SextantError } from '../../../shared/contracts/problem.ts';
import type { Architecture } from '../../../shared/models/architecture.ts';
import { formatHook, hookWidth, listHooks, requireHook } from '../../../shared/models/hooks.ts';
import type { FeedValue, HostTensor } from '../../runtime/index.ts';
import { readTokenizer, requireFit, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { discardFolder, type ModelFolder, readFolder } from '../weights/folder.ts';
import { type PublishedSettings, readPublishedSettings } from '../weights/published-settings.ts';
import type { SidePaths } from '../weights/side-paths.ts';
import { type Batch, makeBatch, positionsOf, ShapeFeeds } from './batch.ts';
import { isNotFinite, notFiniteError } from './finite.ts';
import { prepareEdit } from './interventions.ts';
import type { ForwardRequest, ForwardResult, Tap } from './pass.ts';
import { type DeviceOptions, isFused, Programs, type Variant } from './programs.ts';

export class LanguageModel {
  readonly folder: ModelFolder;
  readonly architecture: Architecture;
  readonly device: NonNullable<DeviceOptions['device']>;
  readonly tokenizer: Tokenizer | null;
  readonly programs: Programs;
  readonly shapes: ShapeFeeds;
  /** Set where the sessions and the folder are another's to give back. */
  readonly #giveBack: (() => Promise<void>) | null;
  /** How its publisher generates with it. */
  readonly published: PublishedSettings;
  readonly #options: DeviceOptions;

  constructor(
    folder: ModelFolder,
    tokenizer: Tokenizer | null,
    options: DeviceOptions,
    shared: { programs: Programs; giveBack: () => Promise<void> } | null = null,
  ) {
    this.folder = folder;
    this.architecture = folder.architecture;
    this.tokenizer = tokenizer;
    this.device = options.device ?? 'cpu';
    this.#options = options;
    this.programs = shared?.programs ?? new Programs(folder, options);
    this.#giveBack = shared?.giveBack ?? null;
    this.shapes = new ShapeFeeds(folder.architecture);
    this.published = readPublishedSettings(folder.path);
  }

  /** Every hook point of the model. */
  get hooks(): string[] {
    return listHooks(this.architecture);
  }

  /** Width of the vectors at a hook; null for attention patterns. @throws SextantError `hook_unknown` */
  widthAt(hook: string): number | null {
    return hookWidth(this.architecture, requireHook(this.architecture, hook));
  }

  /**
   * One pass over a batch.
   * @throws SextantError `hook_unknown`, `width_mismatch`, `context_exceeded`, `tokenizer_mismatch`, `data_invalid`, and
   * `not_finite` naming the first hook point where a value is no number
   */
  async forward(request: ForwardRequest): Promise<ForwardResult> {
    const result = await this.#pass(request);
    if (isNotFinite(result)) {
      throw await this.notFinite(request);
    }
    return result;
  }

  /** The error about a pass in which something is no number. */
  notFinite(request: Pick<ForwardRequest, 'ids' | 'interventions'>): Promise<SextantError> {
    return notFiniteError(this, (other) => this.#pass(other), request);
  }

  async #pass(request: ForwardRequest): Promise<ForwardResult> {
    const { logits = 'all', losses = false, final = false, tapAt = 'all', interventions = [] } = request;
    const taps = (request.taps ?? []).map((hook) => formatHook(requireHook(this.architecture, hook)));
    const batch = makeBatch(this.architecture, request.ids);
    if (typeof tapAt !== 'string') {
      requirePositions(tapAt, batch);
    }
    const edits = interventions.map((intervention, index) =>
      prepareEdit(this.architecture, intervention, index, batch.batch, batch.seq),
    );
    const variant: Variant = {
      taps,
      edits,
      logits: logits === 'last' ? 'rows' : logits,
      tapRows: taps.length > 0 && tapAt !== 'all',
      losses,
      final,
      padded: batch.padded,
      cached: false,
    };
    const session = await this.programs.session(variant);
    const feeds: Record<string, FeedValue> = {
      ids: { shape: [batch.batch, batch.seq], data: batch.ids },
      positions: { shape: [batch.batch, batch.seq], data: positionsOf(batch.starts, batch.seq) },
      ...this.shapes.rotary(batch.seq),
      ...(isFused(this.architecture, variant, this.device) ? wholeRows(batch) : this.shapes.masks(batch)),
    };
    for (const edit of edits) {
      Object.assign(feeds, edit.feeds);
    }
    if (losses) {
      feeds.labels = { shape: [batch.batch, batch.seq], data: nextTokens(batch) };
    }
    if (logits === 'last') {
      feeds.logit_rows = rowFeed(lastRows(batch));
    }
    if (variant.tapRows) {
      feeds.tap_rows = rowFeed(tapAt === 'last' ? lastRows(batch) : (tapAt as readonly number[]));
    }
    const used = new Set(session.program.inputs.map(({ name }) => name));
    const out = await session.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => used.has(name))));
    return {
      batch: batch.batch,
      seq: batch.seq,
      starts: batch.starts,
      logits: out.logits ? tapOf(out.logits) : null,
      taps: Object.fromEntries(taps.map((hook) => [hook, tapOf(out[`tap.${hook}`]!)])),
      losses: out.losses ? maskLosses(out.losses.data as Float32Array, batch) : null,
      final: out.final ? tapOf(out.final) : null,
    };
  }

  /**
   * The same model with these paths beside its layers in place of its own. It shares the files: give its sessions back
   * (`programs.release`) before this model.
   */
  withSidePaths(sidePaths: SidePaths): LanguageModel {
    return new LanguageModel({ ...this.folder, sidePaths }, this.tokenizer, this.#options);
  }

  /** The same model, sessions included, for one user among several; its `release` is `giveBack`. */
  shared(giveBack: () => Promise<void>): LanguageModel {
    return new LanguageModel(this.folder, this.tokenizer, this.#options, { programs: this.programs, giveBack });
  }

  /** Gives the sessions' memory back, and the dense copy of quantised weights where it was nobody else's. */
  async release(): Promise<void> {
    if (this.#giveBack) {
      return this.#giveBack();
    }
    await this.programs.release();
    discardFolder(this.folder);
  }
}

function requirePositions(positions: readonly number[], { batch, seq }: Batch): void {
  const wrong = positions.find((at) => !(Number.isInteger(at) && at >= 0 && at < batch * seq));
  if (wrong !== undefined) {
    throw new SextantError('data_invalid', `position ${wrong} to tap; the batch has 0 to ${batch * seq - 1}`);
  }
}

/**
 * The model in a folder or a GGUF file. Nothing is compiled before the first pass. Quantised weights are made dense in
 * `scratch` (or, with `packed`, as far as the runtime can, stay as they are), which the caller deletes, or else in a temporary folder that `release` deletes.
 * @throws SextantError `model_unknown`, `model_unsupported`, `weights_invalid`, `tokenizer_mismatch`
 */
export async function loadModel(
  path: string,
  { scratch, packed = false, ...options }: DeviceOptions & { scratch?: string; packed?: boolean } = {},
): Promise<LanguageModel> {
  const { device = 'cpu' } = options;
  const folder = readFolder(path, {
    scratch,
    packed: packed && device === 'cpu' ? (options.activations ?? 'float32') : null,
  });
  const tokenizer = readTokenizer(folder.path);
  if (tokenizer) {
    requireFit(tokenizer, folder.architecture.vocabulary);
  }
  return new LanguageModel(folder, tokenizer, options);
}

const tapOf = ({ shape, data }: HostTensor): Tap => ({ shape, data: data as Float32Array });

const lastRows = ({ batch, seq }: Batch): number[] => Array.from({ length: batch }, (_, row) => (row + 1) * seq - 1);

/** The sizes that fused attention asks for where every row is new and as long as the others. */
const wholeRows = ({ batch, seq }: Batch): Record<string, FeedValue> => ({
  last: { shape: [batch], data: new Int32Array(batch).fill(seq - 1) },
  total: { shape: [], data: Int32Array.of(seq) },
});

const rowFeed = (rows: readonly number[]): FeedValue => ({
  shape: [rows.length],
  data: BigInt64Array.from(rows, BigInt),
});

function nextTokens({ batch, seq, ids }: Batch): BigInt64Array {
  const labels = new BigInt64Array(batch * seq);
  for (let row = 0; row < batch; row++) {
    labels.set(ids.subarray(row * seq + 1, (row + 1) * seq), row * seq);
  }
  return labels;
}

function maskLosses(losses: Float32Array, { batch, seq, starts }: Batch): Float32Array {
  for (let row = 0; row < batch; row++) {
    losses.fill(Number.NaN, row * seq, row * seq + starts[row]!);
    losses[(row + 1) * seq - 1] = Number.NaN;
  }
  return losses;
}
