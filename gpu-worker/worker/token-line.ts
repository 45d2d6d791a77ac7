/**
 * Takes what a computation generates to the edge, in order and one call at a time: while one is on its way, the pieces
 * behind it become one piece per text.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SextantError } from '../../shared/contracts/problem.ts';
import { joined, type TokenPiece } from '../../shared/contracts/token-piece.ts';
import { type EdgeCalls, isPassing } from './edge-calls.ts';

const RETRY_MS = 250;
/** Texts of one call. */
const MOST_PIECES = 1024;
/** Tokens of one piece. */
const MOST_TOKENS = 2048;

export class TokenLine {
  readonly #edge: EdgeCalls;
  readonly #path: string;
  readonly #fence: string;
  readonly #over: AbortSignal;
  readonly #refused: (error: unknown) => void;
  #waiting: TokenPiece[] = [];
  #sending: Promise<void> | null = null;

  /** @param refused is told why the edge does not want them any more */
  constructor(
    edge: EdgeCalls,
    { id, fence }: { id: string; fence: string },
    over: AbortSignal,
    refused: (error: unknown) => void,
  ) {
    this.#edge = edge;
    this.#path = `/internal/jobs/${id}/tokens`;
    this.#fence = fence;
    this.#over = over;
    this.#refused = refused;
  }

  tell(piece: TokenPiece): void {
    const last = this.#waiting.findLastIndex(({ run, prompt }) => run === piece.run && prompt === piece.prompt);
    const before = this.#waiting[last];
    if (before && before.tokens.length < MOST_TOKENS) {
      this.#waiting[last] = joined(before, piece);
    } else {
      this.#waiting.push(piece);
    }
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
    });
  }

  /** Resolves once everything told has arrived or cannot, and after `ms` in any case. */
  async drained(ms: number): Promise<void> {
    const late = new AbortController();
    await Promise.race([this.#sending, sleep(ms, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
  }

  async #send(): Promise<void> {
    // pieces of one moment go together
    await sleep(0);
    while (this.#waiting.length > 0 && !this.#over.aborted) {
      const pieces = this.#waiting.splice(0, MOST_PIECES);
      if (!(await this.#post(pieces))) {
        this.#waiting = [];
        return;
      }
    }
  }

  /** Whether the edge took them. */
  async #post(pieces: readonly TokenPiece[]): Promise<boolean> {
    while (!this.#over.aborted) {
      try {
        await this.#edge.post(this.#path, { pieces }, { fence: this.#fence, schema: z.unknown() });
        return true;
      } catch (error) {
        if (!(error instanceof SextantError) || !isPassing(error)) {
          this.#refused(error);
          return false;
        }
      }
      await sleep(RETRY_MS, undefined, { signal: this.#over }).catch(() => {});
    }
    return false;
  }
}
