/**
 * One batch of a model that is always running: texts of different requests join it between two tokens and leave it when they
 * end, each with its own vectors, strengths and sampling. Requests whose edits are of the same kinds at the same hooks share a
 * batch; a text's tokens and log-probabilities are those it would have alone.
 */
import { rowOf } from '../evaluate.ts';
import type { TokenRows } from '../inference/batch.ts';
import { notFiniteIn } from '../inference/finite.ts';
import { type Intervention, prepareEdit } from '../inference/interventions.ts';
import { KvCache } from '../inference/kv-cache.ts';
import type { LanguageModel } from '../inference/model.ts';
import { decodeStep } from './decode-step.ts';
import type { GeneratedToken, GenerateOptions, Generation } from './generation.ts';
import { PrefixStates } from './prefix-states.ts';
import { editsOf, type GenerationIntervention } from './renewal.ts';
import { stackedEdits } from './stacked-edits.ts';
import { type TextRow, textRows } from './text-row.ts';

type Request = {
  rows: TextRow[];
  interventions: readonly GenerationIntervention[];
  /** Those who may find the states of its prompts. */
  owner: string;
  heard: (token: GeneratedToken) => void;
  finish(): void;
  fail(error: unknown): void;
  failed: boolean;
};
type Running = { request: Request; row: TextRow; index: number };
/** Requests with edits of the same kinds. */
type Group = { waiting: Request[]; running: Running[]; cache: KvCache; turning: boolean };

export class RunningBatch {
  readonly #model: LanguageModel;
  readonly #prefixes: PrefixStates;
  readonly #groups = new Map<string, Group>();

  /** @param prefixBytes for the keys and values of prompts that may come again */
  constructor(model: LanguageModel, prefixBytes: number) {
    this.#model = model;
    this.#prefixes = new PrefixStates(prefixBytes);
  }

  /** What is kept between requests. */
  get bytes(): number {
    return this.#prefixes.bytes;
  }

  /** Whether a batch can take these: not where one text changes another, or an edit is made for one batch. */
  takes(interventions: readonly GenerationIntervention[]): boolean {
    const scaling = this.#model.architecture.rope?.scaling?.kind;
    const own = interventions.every(({ kind }) => kind === 'add' || kind === 'project' || kind === 'cap');
    return own && scaling !== 'longrope' && scaling !== 'dynamic';
  }

  /** As `generate`, of options that `takes` allows; interventions carry one vector for all rows. */
  async generate(
    prompts: TokenRows,
    options: GenerateOptions,
    {
      owner,
      heard = () => {},
      signal,
    }: { owner: string; heard?: (token: GeneratedToken) => void; signal?: AbortSignal | undefined },
  ): Promise<Generation[]> {
    signal?.throwIfAborted();
    const { interventions = [] } = options;
    const rows = textRows(this.#model, prompts, options);
    const { promise, resolve, reject } = Promise.withResolvers<Generation[]>();
    const request: Request = {
      rows,
      interventions,
      owner,
      heard,
      finish: () => resolve(rows.map((row) => row.result())),
      fail: reject,
      failed: false,
    };
    if (rows.every(({ done }) => done)) {
      request.finish();
      return promise;
    }
    // The rows leave before the next token.
    signal?.addEventListener('abort', () => this.#fail(request, signal.reason), { once: true });
    const group = this.#groupOf(interventions);
    group.waiting.push(request);
    if (!group.turning) {
      group.turning = true;
      void this.#turn(group);
    }
    return promise;
  }

  #groupOf(interventions: readonly GenerationIntervention[]): Group {
    const { architecture: a } = this.#model;
    const edits = editsOf(interventions, 'generated', [0], 1);
    const key = JSON.stringify(edits.map((edit, index) => prepareEdit(a, edit, index, 1, 1).signature));
    const known = this.#groups.get(key);
    if (known) {
      return known;
    }
    const group: Group = { waiting: [], running: [], cache: new KvCache(a, 0), turning: false };
    this.#groups.set(key, group);
    return group;
  }

  /** Goes on as long as there is anything to generate. */
  async #turn(group: Group): Promise<void> {
    while (group.waiting.length + group.running.length > 0) {
      try {
        for (const request of group.waiting.splice(0).filter(({ failed }) => !failed)) {
          await this.#join(group, request).catch((error) => this.#fail(request, error));
        }
        this.#leave(group);
        if (group.running.length > 0) {
          await this.#step(group);
        }
      } catch (error) {
        for (const { request } of group.running) {
          this.#fail(request, error);
        }
      }
      this.#leave(group);
    }
    group.turning = false;
  }

  #fail(request: Request, error: unknown): void {
    request.failed = true;
    request.fail(error);
  }

  /** Reads the prompts, each from where its beginning is known, and draws their first tokens. */
  async #join(group: Group, request: Request): Promise<void> {
    const { interventions, owner } = request;
    const joined: { cache: KvCache; row: number }[] = [];
    const fresh: Running[] = [];
    for (const [index, row] of request.rows.entries()) {
      const { cache, logits, normalisers } = await this.#prefixes.read(this.#model, row.prompt, interventions, owner);
      this.#draw({ request, row, index }, logits, normalisers[0]!);
      joined.push({ cache, row: 0 });
      fresh.push({ request, row, index });
    }
    const there = group.running.map((_, row) => ({ cache: group.cache, row }));
    group.cache = KvCache.of(this.#model.architecture, [...there, ...joined]);
    group.running.push(...fresh);
  }

  async #step({ running, cache }: Group): Promise<void> {
    const ids = BigInt64Array.from(running, ({ row }) => BigInt(row.seen.at(-1)!));
    const edits = stackedEdits(
      running.map(({ request }, row) => editsOf(request.interventions, 'generated', [cache.lengths[row]!], 1)),
    );
    const fresh = running.map(() => 1);
    const { logits, normalisers } = await decodeStep(this.#model, cache, ids, fresh, edits);
    const { vocabulary } = this.#model.architecture;
    for (const [r, one] of running.entries()) {
      if (notFiniteIn(normalisers, r, r + 1) !== undefined) {
        const seen = [one.row.seen.slice(0, this.#model.architecture.context)];
        const interventions = everywhere(one.request.interventions);
        this.#fail(one.request, await this.#model.notFinite({ ids: seen, interventions }));
      } else if (!one.request.failed) {
        this.#draw(one, rowOf(logits, vocabulary, r), normalisers[r]!);
      }
    }
  }

  #draw({ request, row, index }: Running, chances: Float32Array, normaliser: number): void {
    request.heard({ row: index, ...row.take(chances, normaliser) });
  }

  /** Takes out the rows that have ended, and tells the requests that are over. */
  #leave(group: Group): void {
    const { running } = group;
    const stays = running.map(({ row, request }) => !row.done && !request.failed);
    if (stays.every(Boolean)) {
      return;
    }
    const kept = [...running.keys()].filter((row) => stays[row]);
    group.cache = KvCache.of(
      this.#model.architecture,
      kept.map((row) => ({ cache: group.cache, row })),
    );
    group.running = kept.map((row) => running[row]!);
    for (const request of new Set(running.map((one) => one.request))) {
      if (!request.failed && request.rows.every(({ done }) => done)) {
        request.finish();
      }
    }
  }
}

/** Edits as far as a whole pass can have them. */
const everywhere = (interventions: readonly GenerationIntervention[]): Intervention[] =>
  interventions
    .filter(({ during = 'all' }) => during === 'all')
    .map(({ during: _during, ...edit }) => edit as Intervention);
