/** Addresses that no route answers: 405 with `Allow` where another method would have been right, else 404. */
import type { Context } from 'hono';
import { SextantError } from '../../shared/contracts/problem.ts';
import type { AppEnv } from '../environment.ts';
import { takeAnonymous } from '../quota/lease.ts';
import { addressOf } from './access.ts';
import { problemAnswer } from './problem.ts';

type Route = { method: string; path: string };

/** The methods that `routes` know for `path`. */
export function methodsFor(routes: readonly Route[], path: string): string[] {
  const methods = new Set<string>();
  for (const route of routes) {
    if (route.method === 'ALL') {
      continue;
    }
    const pattern = route.path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/:[^/]+?(?=\/|$)/g, '[^/]+');
    if (!new RegExp(`^${pattern}$`).test(path)) {
      continue;
    }
    methods.add(route.method);
    if (route.method === 'GET') {
      methods.add('HEAD');
    }
  }
  return [...methods].sort();
}

/** The answer to a request that no route of the application takes; counted by address, whoever asks. */
export function answerUnrouted(routes: readonly Route[], c: Context<AppEnv>): Response {
  try {
    c.set('allowance', takeAnonymous(addressOf(c.req.raw.headers), Date.now(), 'refused'));
    throw unrouted(methodsFor(routes, c.req.path), c);
  } catch (error) {
    // answered here: an error from a not-found handler would pass the envelope by
    return problemAnswer(error as Error, c);
  }
}

function unrouted(allowed: readonly string[], c: Context<AppEnv>): SextantError {
  if (allowed.length === 0) {
    return new SextantError('not_found', `there is nothing at ${c.req.path.slice(0, 200)}`);
  }
  return new SextantError('method_not_allowed', `${c.req.method} is not possible here, but ${allowed.join(', ')}`, {
    details: { allowed },
  });
}
