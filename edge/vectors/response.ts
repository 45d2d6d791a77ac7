/** The answer to a read of a vector, the same from every tier and on the fast path. */
import { conditionalRead } from '../http/conditions.ts';
import { contentRange, rangeOf } from '../http/range.ts';
import { type Representation, type Tier, tierTiming } from './representation.ts';

/**
 * 200 with the bytes, 206 with a range of them, or 304, as the request's headers ask.
 * @throws SextantError `precondition_failed`, `range_unsatisfiable`, `parameter_invalid`
 */
export function vectorResponse(representation: Representation, tier: Tier, asked: Headers): Response {
  const response = answered(representation, asked);
  if (tier !== 'memory') {
    response.headers.set('server-timing', tierTiming(tier));
  }
  return response;
}

function answered({ bytes, etag, headers, validators }: Representation, asked: Headers): Response {
  if (conditionalRead(asked, etag) === 'unchanged') {
    return new Response(null, { status: 304, headers: validators });
  }
  const range = asked.has('range') ? rangeOf(asked, etag, bytes.byteLength) : null;
  if (range === null) {
    return new Response(bytes, { headers });
  }
  const response = new Response(bytes.subarray(range.offset, range.offset + range.length), { status: 206, headers });
  response.headers.set('content-range', contentRange(range, bytes.byteLength));
  response.headers.set('content-length', String(range.length));
  return response;
}
