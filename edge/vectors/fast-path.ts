/**
 * `GET /v1/vectors/{id}` answered from memory, before any framework: no digest, no query, no await. It answers only what
 * it is sure of (a remembered key with its scope, a leased quota, a remembered representation, a query it has seen
 * spelled); everything else, errors included, takes the ordinary route, which shares every rule with it.
 */

import { requestIdOf, stamp } from '../http/envelope.ts';
import { rememberedKey } from '../keys/registry.ts';
import { takeLeased } from '../quota/lease.ts';
import { remembered } from './lookup.ts';
import { vectorResponse } from './response.ts';
import { METADATA, QUERIES } from './selection.ts';

const PATH = '/v1/vectors/';
const ID_LENGTH = 'vec_'.length + 52;
/** What clients send when they do not care: then a missing format means metadata. */
const INDIFFERENT = new Set([null, '*/*', 'application/json']);

export function fastVector(request: Request): Response | null {
  const { url, headers } = request;
  // a condition or a range can end in a refusal, which the framework words; a page of another origin is told more
  if (request.method !== 'GET' || headers.has('range') || headers.has('if-match') || headers.has('origin')) {
    return null;
  }
  const path = url.indexOf('/', 8);
  if (!url.startsWith(PATH, path)) {
    return null;
  }
  const idEnd = path + PATH.length + ID_LENGTH;
  const query = url.slice(idEnd);
  const selection = query === '' && INDIFFERENT.has(headers.get('accept')) ? METADATA : QUERIES.get(query);
  if (selection === undefined) {
    return null;
  }
  const authorization = headers.get('authorization');
  if (authorization === null || !authorization.startsWith('Bearer ')) {
    return null;
  }
  const now = Date.now();
  const key = rememberedKey(authorization.slice(7), now);
  if (key === undefined || !key.scopes.has('vectors:read')) {
    return null;
  }
  const representation = remembered(key.tenant, url.slice(path + PATH.length, idEnd), selection, now);
  if (representation === undefined) {
    return null;
  }
  const allowance = takeLeased(key, 'reads', now);
  if (allowance === undefined) {
    return null;
  }
  const response = vectorResponse(representation, 'memory', headers);
  stamp(response.headers, requestIdOf(headers.get('x-request-id')), allowance, now);
  return response;
}
