/**
 * Signed envelopes: compact JWS (RFC 7515) with EdDSA and nothing else. Opening one takes its claims from untrusted text
 * to a checked value in a fixed order: size, header, issuer, key, signature, schema, time.
 */
import { CompactSign, compactVerify, decodeJwt, decodeProtectedHeader, errors, type JWK } from 'jose';
import type { z } from 'zod';
import { SextantError } from '../contracts/problem.ts';
import type { KeySource } from './key-set.ts';

/** A private Ed25519 key and the id under which its public half is published. */
export type SigningKey = { kid: string; jwk: JWK };

/** Largest envelope that is looked at, in characters; a queue message holds at most 128,000 bytes. */
const ENVELOPE_LIMIT = 126_000;
/** Two honest clocks differ by less than this; a larger difference is for the caller to learn and correct. */
const CLOCK_TOLERANCE_S = 5;

/** The key itself, without what its maker noted about its use: some write its algorithm as Ed25519, some as EdDSA. */
const bare = ({ kty, crv, x, d }: JWK): JWK => ({ kty: kty ?? 'OKP', crv: crv ?? '', x: x ?? '', ...(d ? { d } : {}) });

export async function signEnvelope(key: SigningKey, typ: string, claims: object): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(bytes).setProtectedHeader({ alg: 'EdDSA', kid: key.kid, typ }).sign(bare(key.jwk));
}

type Opening<T extends z.ZodType> = {
  typ: string;
  /** One key set per role: the issuer picks the set before the key id is looked up in it. */
  keysOf: (issuer: string) => KeySource | null;
  schema: T;
  /** Seconds since the epoch. */
  now_s: number;
};

const refuse = (detail: string, cause?: unknown) => new SextantError('signature_invalid', detail, { cause });

/**
 * Verifies a compact JWS and returns its claims. Raises `signature_invalid` for whatever can never become valid,
 * `clock_skew` outside its time of life, and `unavailable` while the key set cannot say whether it knows the key.
 */
export async function openEnvelope<T extends z.ZodType>(
  jws: string,
  { typ, keysOf, schema, now_s }: Opening<T>,
): Promise<{ claims: z.output<T>; kid: string }> {
  if (jws.length > ENVELOPE_LIMIT) {
    throw refuse(`the envelope is longer than ${ENVELOPE_LIMIT} characters`);
  }
  const { kid, issuer } = readHeader(jws, typ);
  const set = keysOf(issuer);
  if (!set) {
    throw refuse(`no keys are accepted from the issuer '${issuer.slice(0, 60)}'`);
  }
  const key = await set.find(kid);
  if (!key) {
    throw refuse(`${issuer} has no key '${kid.slice(0, 60)}'`);
  }
  const payload = await compactVerify(jws, 'kty' in key ? bare(key) : key, { algorithms: ['EdDSA'] })
    .then(
      (verified) =>
        JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(verified.payload)) as unknown,
    )
    .catch((cause: unknown) => {
      throw refuse(cause instanceof errors.JOSEError ? `the signature is refused: ${cause.code}` : 'not JSON', cause);
    });
  const parsed = schema.safeParse(payload);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refuse(`claim '${issue?.path.join('.') ?? ''}' is not acceptable: ${issue?.message ?? ''}`);
  }
  checkLife(payload as { iat?: unknown; exp?: unknown }, now_s);
  return { claims: parsed.data, kid };
}

function readHeader(jws: string, typ: string): { kid: string; issuer: string } {
  try {
    const header = decodeProtectedHeader(jws);
    if (header.alg !== 'EdDSA') {
      throw refuse(`the algorithm must be EdDSA, not '${String(header.alg).slice(0, 20)}'`);
    }
    if (header.typ !== typ) {
      throw refuse(`the type must be '${typ}'`);
    }
    if (typeof header.kid !== 'string' || header.kid.length > 200) {
      throw refuse('the header must name its key');
    }
    return { kid: header.kid, issuer: String(decodeJwt(jws).iss) };
  } catch (cause) {
    throw cause instanceof SextantError ? cause : refuse('not a compact JWS', cause);
  }
}

function checkLife({ iat, exp }: { iat?: unknown; exp?: unknown }, now_s: number): void {
  if (typeof iat !== 'number' || typeof exp !== 'number') {
    throw refuse('the claims must hold iat and exp');
  }
  if (now_s > exp + CLOCK_TOLERANCE_S) {
    throw new SextantError('clock_skew', `expired ${Math.round(now_s - exp)} s ago`);
  }
  if (now_s < iat - CLOCK_TOLERANCE_S) {
    throw new SextantError('clock_skew', `issued ${Math.round(iat - now_s)} s in the future`);
  }
}
