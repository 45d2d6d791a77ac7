/** Calls the Worker as a client would, with a key of a tenant of its own. */
import { env, exports } from 'cloudflare:workers';
import { INSERT_KEY, keyValues, mintKey } from '../../../edge/keys/mint.ts';
import { SCOPES, type Scope } from '../../../shared/contracts/scope.ts';

export type Client = {
  tenant: string;
  key: string;
  keyId: string;
  call(method: string, path: string, init?: { body?: unknown; headers?: Record<string, string> }): Promise<Response>;
};

let tenants = 0;

/** A client of a new tenant (or of `tenant`) whose key has `scopes` (all of them unless said otherwise). */
export async function newClient(
  of: { tenant?: string; scopes?: readonly Scope[]; expires_at?: number; limits?: Record<string, number> } = {},
): Promise<Client> {
  tenants += 1;
  const tenant = of.tenant ?? `tenant-${tenants}-${crypto.randomUUID().slice(0, 8)}`;
  const { text, row } = await mintKey({
    tenant,
    name: 'test',
    scopes: of.scopes ?? SCOPES,
    limits: of.limits ?? {},
    now: Date.now(),
    expires_at: of.expires_at ?? null,
  });
  await env.DB.prepare(INSERT_KEY)
    .bind(...keyValues(row))
    .run();
  return {
    tenant,
    key: text,
    keyId: row.id,
    call: (method, path, init = {}) => send(method, path, init, { authorization: `Bearer ${text}` }),
  };
}

/** A call with exactly these headers; objects go as JSON, strings and bytes as they are. */
export function send(
  method: string,
  path: string,
  init: { body?: unknown; headers?: Record<string, string> } = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  const { body } = init;
  const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  return exports.default.fetch(`https://edge.test${path}`, {
    method,
    headers: { ...headers, ...(plain ? {} : { 'content-type': 'application/json' }), ...init.headers },
    ...(body === undefined ? {} : { body: plain ? (body as string) : JSON.stringify(body) }),
    redirect: 'manual',
  });
}

export type ProblemBody = {
  code: string;
  status: number;
  detail: string;
  type: string;
  request_id: string;
  errors?: { pointer: string; code: string; detail: string }[];
};
/** Body of a problem answer, after a look at what every problem must have. */
export async function problemOf(answer: Response): Promise<ProblemBody> {
  if (answer.headers.get('content-type') !== 'application/problem+json') {
    throw new Error(`not a problem: ${answer.status} ${await answer.text()}`);
  }
  const problem = (await answer.json()) as ProblemBody;
  if (problem.status !== answer.status) {
    throw new Error(`status ${problem.status} in an answer ${answer.status}`);
  }
  if (problem.request_id !== answer.headers.get('x-request-id')) {
    throw new Error('the request ids differ');
  }
  return problem;
}
