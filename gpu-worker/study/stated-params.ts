/** Params as manifests state them: what was sent by the hundred kilobytes is told by its digest. */
import { createHash } from 'node:crypto';

/** Characters of JSON up to which a value is stated as it is, and up to which an object is by its parts. */
const [LONGEST_VALUE, LONGEST_OBJECT] = [4096, 16_384];

/**
 * The same params with each long text, list or object in the place of its SHA-256 and its size, so that a manifest, which
 * every list and ledger carries, stays small however much was sent.
 */
export const statedParams = (params: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [name, stated(value)]));

function stated(value: unknown): unknown {
  const text = JSON.stringify(value);
  if (text === undefined || text.length <= LONGEST_VALUE) {
    return value;
  }
  const digest = { sha256: createHash('sha256').update(text).digest('hex') };
  if (typeof value === 'string') {
    return { ...digest, characters: value.length };
  }
  if (Array.isArray(value)) {
    return { ...digest, elements: value.length };
  }
  const parts = statedParams(value as Record<string, unknown>);
  return JSON.stringify(parts).length <= LONGEST_OBJECT ? parts : { ...digest, members: Object.keys(parts).length };
}
