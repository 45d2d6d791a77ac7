/**
 * Sets of public keys. A set fetched from its owner is cached; a key id it does not know causes one more fetch, but not
 * more often than the cooldown, so that invented ids cannot be turned into load. A set that cannot be fetched makes
 * the answer unknown, never negative.
 */
import type { CryptoKey, JWK } from 'jose';
import type { z } from 'zod';
import { SextantError } from '../contracts/problem.ts';
import { keySetSchema } from '../contracts/signing-keys.ts';

export interface KeySource {
  /** The public key, or null when the set certainly has no such key. Raises `unavailable` when that is not known. */
  find(kid: string): Promise<JWK | CryptoKey | null>;
}

export type PublishedKeys = z.infer<typeof keySetSchema>;

/** The public halves of private keys: what an owner publishes. */
export const publicKeys = (keys: readonly { kid: string; jwk: JWK }[]): PublishedKeys => ({
  keys: keys.map(({ kid, jwk }) => ({ kid, kty: 'OKP', crv: 'Ed25519', x: jwk.x ?? '' })),
});

/** A set that is known as a whole, for an owner that checks its own signatures. */
export const fixedKeys = (published: PublishedKeys): KeySource => ({
  find: async (kid) => published.keys.find((key) => key.kid === kid) ?? null,
});

/** Longest pause after failed fetches: an owner that came back is found soon. */
const FAILURE_LIMIT_MS = 8000;

type FetchedKeysOptions = {
  /** Reads the set from its owner; any rejection counts as a failed fetch. */
  load: () => Promise<unknown>;
  /** Milliseconds on a clock that only moves forward. */
  now: () => number;
  cooldown_ms?: number;
  max_age_ms?: number;
};

export class FetchedKeys implements KeySource {
  readonly #options: Required<FetchedKeysOptions>;
  #keys = new Map<string, JWK>();
  #loadedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #retryAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | null = null;

  constructor(options: FetchedKeysOptions) {
    this.#options = { cooldown_ms: 30_000, max_age_ms: 600_000, ...options };
  }

  async find(kid: string): Promise<JWK | null> {
    const { now, cooldown_ms, max_age_ms } = this.#options;
    const age = now() - this.#loadedAt;
    const known = this.#keys.get(kid);
    if (known && age < max_age_ms) {
      return known;
    }
    if (age < cooldown_ms) {
      throw this.#unknownYet(cooldown_ms - age);
    }
    try {
      await this.refresh();
    } catch (error) {
      // An old key still verifies while its owner cannot be reached: an outage must not stop work in hand.
      if (known) {
        return known;
      }
      throw error;
    }
    return this.#keys.get(kid) ?? null;
  }

  /** Fetches the set now, or raises `unavailable`; after a failure the next try waits 0.5 s, doubling up to 8 s. */
  async refresh(): Promise<void> {
    const { load, now } = this.#options;
    if (this.#retryAt > now()) {
      throw this.#unknownYet(this.#retryAt - now());
    }
    this.#loading ??= load()
      .then((body) => {
        this.#keys = new Map(keySetSchema.parse(body).keys.map((key) => [key.kid, key]));
        this.#loadedAt = now();
        this.#failures = 0;
        this.#retryAt = Number.NEGATIVE_INFINITY;
      })
      .catch((cause: unknown) => {
        const delay = Math.min(FAILURE_LIMIT_MS, 500 * 2 ** this.#failures++);
        this.#retryAt = now() + delay;
        throw this.#unknownYet(delay, cause);
      })
      .finally(() => {
        this.#loading = null;
      });
    return this.#loading;
  }

  /** True once a set has been fetched and the last try did not fail. */
  get ready(): boolean {
    return this.#loadedAt > Number.NEGATIVE_INFINITY && this.#failures === 0;
  }

  #unknownYet(delay_ms: number, cause?: unknown): SextantError {
    const seconds = Math.max(1, Math.ceil(delay_ms / 1000));
    return new SextantError('unavailable', `the key set can be asked again in ${seconds} s`, {
      retryAfterS: seconds,
      cause,
    });
  }
}
