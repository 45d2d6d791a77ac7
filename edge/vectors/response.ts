/** The answer to a read of a vector, the same from every tier and on the fast path. */
import { type Representation, type Tier, tierTiming } from './representation.ts';

/** 200 with the bytes, or 304 where `ifNoneMatch` names them. */
export function vectorResponse(representation: Representation, tier: Tier, ifNoneMatch: string | null): Response {
  const unchanged = ifNoneMatch !== null && matches(ifNoneMatch, representation.etag);
  const response = unchanged
    ? new Response(null, { status: 304, headers: representation.validators })
    : new Response(representation.bytes, { headers: representation.headers });
  if (tier !== 'memory') {
    response.headers.set('server-timing', tierTiming(tier));
  }
  return response;
}

/** If-None-Match compares weakly (RFC 9110, 13.1.2). */
export function matches(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === etag) {
    return true;
  }
  return ifNoneMatch.split(',').some((candidate) => {
    const tag = candidate.trim();
    return tag === '*' || tag === etag || (tag.startsWith('W/') && tag.slice(2) === etag);
  });
}
