/** What every provider's module gives: whether a delivery is genuine, and what it says. */
import type { DeliveryCode, InboundEvent } from '../../../shared/contracts/inbound.ts';
import { SextantError } from '../../../shared/contracts/problem.ts';
import { sha256 } from '../../../shared/signing/digest.ts';

/** A delivery as it arrived. */
export type Presented = { url: URL; headers: Headers; body: Uint8Array<ArrayBuffer> };
/** JSON pointers into the payload of a sender that has no form of its own. */
export type Pointers = { repository: string | null; revision: string | null };
type ReadingTerms = { ref: string; pointers: Pointers };

export type Reading = { event: InboundEvent } | { ignored: { code: DeliveryCode; detail: string } };

export interface InboundProvider {
  /** Raises `validation_failed` for a secret that cannot be one of this provider; gives its canonical form. */
  secret(text: string): string;
  /** A secret for a sender that takes ours. */
  newSecret(): string;
  /** Raises `signature_invalid` or `clock_skew`. `now` in ms since the epoch. */
  verify(presented: Presented, secrets: readonly string[], now: number): Promise<void>;
  /** The sender's id of the delivery; null where it sends none. */
  senderId(headers: Headers): string | null;
  /** What a verified delivery says. Raises `body_malformed`, `validation_failed`. */
  read(presented: Presented, terms: ReadingTerms): Reading;
}

export const ignore = (code: DeliveryCode, detail: string): Reading => ({ ignored: { code, detail } });

/** Whether two texts are equal, in a time that tells nothing of where they differ. */
export async function equalTexts(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([sha256(a), sha256(b)]);
  return left.reduce((difference, byte, i) => difference | (byte ^ (right[i] ?? 0)), 0) === 0;
}

/** Headers are short; anything longer is nobody's id. */
export const idIn = (headers: Headers, name: string): string | null => {
  const value = headers.get(name);
  return value !== null && /^[\x21-\x7e]{1,200}$/.test(value) ? value : null;
};

export type JsonObject = Record<string, unknown>;
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The JSON object of a body. Raises `body_malformed`. */
export function objectOf(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new SextantError('body_malformed', 'the body is no JSON in UTF-8');
  }
  if (!isObject(value)) {
    throw new SextantError('body_malformed', 'the body is no JSON object');
  }
  return value;
}

/** A text at a path of the payload. Raises `validation_failed` where there is none: the body is another provider's. */
export function textAt(payload: JsonObject, ...path: string[]): string {
  const value = valueAt(payload, path);
  if (typeof value === 'string' && value !== '') {
    return value;
  }
  throw new SextantError(
    'validation_failed',
    `/${path.join('/')}: a text is expected here; is this another provider's body?`,
  );
}

export const valueAt = (payload: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (at, name) =>
      Array.isArray(at) ? at[Number(name)] : isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined,
    payload,
  );

/** Git's name for "no commit". */
export const isZero = (hash: string): boolean => /^0+$/.test(hash);
