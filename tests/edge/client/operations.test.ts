import { describe, expect, it } from 'vitest';
import { Sextant } from '../../../edge/client/index.ts';
import contract from '../../../openapi.json' with { type: 'json' };
import { COMPOSED, OPERATIONS, pathOf } from './operations.ts';

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);
const operations = Object.entries(contract.paths as Record<string, Record<string, Declared>>).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => METHODS.has(method))
    .map(([method, declared]) => ({ name: `${method.toUpperCase()} ${path}`, declared })),
);
type Declared = {
  security?: unknown[];
  parameters?: { in: string; name: string }[];
  requestBody?: unknown;
};

describe('the client', () => {
  it('has a method for every operation of the contract, and no other', () => {
    expect(OPERATIONS.map(([operation]) => operation).sort()).toEqual(operations.map(({ name }) => name).sort());
  });

  it('has no method that is neither an operation nor made of them', () => {
    const client = new Sextant({ url: 'http://localhost' });
    const methods = Object.entries(client).flatMap(([resource, object]) =>
      typeof object === 'object'
        ? Object.getOwnPropertyNames(Object.getPrototypeOf(object))
            .filter((name) => name !== 'constructor')
            .map((name) => `${resource}.${name}`)
        : [],
    );
    expect(methods.sort()).toEqual([...OPERATIONS.map(([, method]) => method), ...COMPOSED].sort());
  });

  it.each(OPERATIONS.map(([operation, method, call, sent]) => ({ operation, method, call, sent })))(
    'sends $operation by $method',
    async ({ operation, call, sent }) => {
      const { declared } = operations.find(({ name }) => name === operation)!;
      const requests: Request[] = [];
      const client = new Sextant({
        url: 'http://localhost/',
        key: 'secret',
        fetch: async (address, init) => {
          requests.push(new Request(address, init));
          const events = operation.endsWith('/events');
          return events
            ? new Response(null, { status: 204 })
            : Response.json({ data: [], next_cursor: null }, { status: 200 });
        },
      });
      await call(client);
      expect(requests).toHaveLength(1);
      const [request] = requests as [Request];
      const { pathname, searchParams } = new URL(request.url);
      expect(`${request.method} ${pathname}`).toBe(`${operation.split(' ')[0]} ${pathOf(operation)}`);
      expect(request.headers.get('authorization')).toBe((declared.security ?? []).length > 0 ? 'Bearer secret' : null);
      expect(request.headers.has('idempotency-key')).toBe(request.method === 'POST');
      // every parameter that was sent is one of the contract's
      const known = (place: string) =>
        (declared.parameters ?? []).filter((one) => one.in === place).map(({ name }) => name);
      expect(known('query')).toEqual(expect.arrayContaining([...searchParams.keys()]));
      expect(declared.requestBody !== undefined).toBe(sent !== undefined);
      if (sent !== undefined) {
        expect(await request.json()).toEqual(sent);
      }
    },
  );
});
