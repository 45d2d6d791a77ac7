/**
 * Keys and values of prompts that may come again, such as a chat that sends its history: by tokens, edits and owner, as many as
 * fit. Only what was read as a prompt is kept: a token that was generated alone has other last bits, and the same request would
 * then give other bits than in a fresh process. For the same reason nothing is kept where attention is spelled out, whose sums
 * depend on how a prompt was cut.
 */
import { createHash } from 'node:crypto';
import { makeBatch } from '../inference/batch.ts';
import { notFiniteIn } from '../inference/finite.ts';
import type { Intervention } from '../inference/interventions.ts';
import { KvCache } from '../inference/kv-cache.ts';
import type { LanguageModel } from '../inference/model.ts';
import { fusedFits } from '../network/fused-attention.ts';
import { decodeStep } from './decode-step.ts';
import { editsOf, type GenerationIntervention } from './renewal.ts';

/** Tokens that are read anew at least: a step of few tokens may sum in another order than a long one. */
const READ_ANEW = 8;
/** Shorter prompts are not worth keeping. */
const LEAST_KEPT = 16;

type Kept = { tokens: Int32Array; edits: string; cache: KvCache };

export class PrefixStates {
  readonly #limit: number;
  /** The least recently used first. */
  #kept: Kept[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get bytes(): number {
    return this.#kept.reduce((sum, { cache, tokens }) => sum + cache.bytes + tokens.byteLength, 0);
  }

  /**
   * The states of a prompt and the logits after it, computed from where the longest known beginning ends.
   * @param owner whoever may find what is kept; nobody else can tell that it is
   * @throws SextantError as `forward`
   */
  async read(
    model: LanguageModel,
    prompt: readonly number[],
    interventions: readonly GenerationIntervention[],
    owner: string,
  ): Promise<{ cache: KvCache; logits: Float32Array; normalisers: Float32Array }> {
    const { architecture: a } = model;
    // refuses what is no prompt of the model
    makeBatch(a, [prompt]);
    const edits = digestOf(interventions, owner);
    const exact = model.device === 'cpu' && fusedFits(a.headDim);
    const { cache, length } = exact ? this.#beginning(model, prompt, edits) : { cache: new KvCache(a, 1), length: 0 };
    const rest = BigInt64Array.from(prompt.slice(length), BigInt);
    const now = editsOf(interventions, 'prompt', [length], rest.length);
    const { logits, normalisers } = await decodeStep(model, cache, rest, [rest.length], now);
    if (notFiniteIn(normalisers, 0, 1) !== undefined) {
      throw await model.notFinite({
        ids: [prompt],
        interventions: editsOf(interventions, 'prompt', [0], prompt.length),
      });
    }
    if (exact) {
      this.#keep({ tokens: Int32Array.from(prompt), edits, cache: KvCache.of(a, [{ cache, row: 0 }]) });
    }
    return { cache, logits, normalisers };
  }

  #beginning(model: LanguageModel, prompt: readonly number[], edits: string): { cache: KvCache; length: number } {
    const most = prompt.length - READ_ANEW;
    let [best, length]: [Kept | null, number] = [null, 0];
    for (const kept of this.#kept) {
      if (kept.edits !== edits) {
        continue;
      }
      const common = Math.min(most, commonLength(kept.tokens, prompt));
      if (common > length) {
        [best, length] = [kept, common];
      }
    }
    if (!best) {
      return { cache: new KvCache(model.architecture, 1), length: 0 };
    }
    this.#kept = [...this.#kept.filter((kept) => kept !== best), best];
    return { cache: KvCache.of(model.architecture, [{ cache: best.cache, row: 0, length }]), length };
  }

  #keep(fresh: Kept): void {
    if (fresh.tokens.length < LEAST_KEPT) {
      return;
    }
    // What is the beginning of the new one is found in it.
    const others = this.#kept.filter(
      ({ tokens, edits }) => edits !== fresh.edits || commonLength(tokens, fresh.tokens) < tokens.length,
    );
    this.#kept = [...others, fresh];
    while (this.#kept.length > 0 && this.bytes > this.#limit) {
      this.#kept.shift();
    }
  }
}

function commonLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) {
    at += 1;
  }
  return at;
}

/** Everything about the edits that changes a prompt's states, and whose they are. */
function digestOf(interventions: readonly GenerationIntervention[], owner: string): string {
  const hash = createHash('sha256').update(JSON.stringify(owner));
  for (const edit of interventions.filter(({ during }) => during !== 'generated')) {
    hash.update(
      JSON.stringify(edit as Intervention, (_key, value) =>
        ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value,
      ),
    );
  }
  return hash.digest('hex');
}
