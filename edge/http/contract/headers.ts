/** Headers that answers carry, as components, and which answers carry which. */
const text = (description: string, example: string) => ({ description, schema: { type: 'string' as const }, example });

export const HEADERS = {
  'x-request-id': text(
    'finds the request in the logs; the one that was sent, where it is well-formed',
    'req-0123456789',
  ),
  'x-sextant-time': text("the service's clock, milliseconds since the epoch", '1790000000000'),
  ratelimit: text('what is left of the limit (RateLimit header fields)', '"jobs";r=58;t=41'),
  'ratelimit-policy': text('the limit that counted the request', '"jobs";q=60;w=60'),
  'retry-after': text('seconds after which the same request may go better', '5'),
  location: text('address of what was made', '/v1/jobs/job_aaaaaaaaaaaaaaaaaaaaaaaaaa'),
  link: text('the next page, with rel="next"', '</v1/jobs?cursor=abc>; rel="next"'),
  etag: text('of this state, for If-Match and If-None-Match', '"1"'),
  'content-range': text('which bytes of how many', 'bytes 0-99/1234'),
  'www-authenticate': text('how to authenticate', 'Bearer realm="sextant"'),
  'accept-post': text('media types that are taken', 'application/json'),
  'idempotency-replayed': text('true: the answer to a request that was answered before', 'true'),
  'preference-applied': text('the wait that was granted', 'wait=30'),
};
type HeaderName = keyof typeof HEADERS;

const ALWAYS: readonly HeaderName[] = ['x-request-id', 'x-sextant-time', 'ratelimit', 'ratelimit-policy'];
const OF_STATUS: Readonly<Record<string, readonly HeaderName[]>> = {
  201: ['location'],
  206: ['content-range'],
  401: ['www-authenticate'],
  412: ['etag'],
  415: ['accept-post'],
  416: ['content-range'],
  429: ['retry-after'],
  503: ['retry-after'],
};

/** What of an operation decides which headers its answers have. */
type Answered = {
  statuses: readonly string[];
  /** Names of its parameters, in lower case. */
  parameters: ReadonlySet<string>;
};

/** Headers of the answer with a status, whose description names Location where the answer has one. */
export function headersOf({ statuses, parameters }: Answered, status: string, description: string): HeaderName[] {
  const good = status.startsWith('2');
  const conditional = statuses.includes('304') || statuses.includes('412');
  return [
    ...ALWAYS,
    ...(OF_STATUS[status] ?? []),
    ...(status === '202' && description.includes('Location') ? (['location'] as const) : []),
    ...(conditional && (status === '304' || (good && status !== '204')) ? (['etag'] as const) : []),
    ...(good && parameters.has('cursor') ? (['link'] as const) : []),
    ...(good && parameters.has('idempotency-key') ? (['idempotency-replayed'] as const) : []),
    ...(good && parameters.has('prefer') ? (['preference-applied'] as const) : []),
  ];
}
