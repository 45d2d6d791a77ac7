/** Requests to a model hub: redirects followed by hand, so that a token never reaches another origin. */
import { SextantError } from '../../../shared/contracts/problem.ts';

const MAX_REDIRECTS = 5;

type HubRequest = { token?: string | undefined; headers?: Record<string, string> };

/**
 * GET with redirects. The token goes to the first origin only; once another origin was visited it is gone for good.
 * @throws SextantError `model_unknown` for 401, 403 and 404, `unavailable` for other failures
 */
export async function hubGet(url: string, { token, headers = {} }: HubRequest): Promise<Response> {
  let target = new URL(url);
  let bearer = token;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await send(target, { ...headers, ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) });
    if (response.status < 300 || response.status >= 400) {
      return checked(response, target);
    }
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (!location) {
      throw new SextantError('unavailable', `${target.host} redirects to nowhere`);
    }
    const next = new URL(location, target);
    if (next.protocol !== 'https:' && next.protocol !== target.protocol) {
      throw new SextantError('unavailable', `${target.host} redirects to ${next.protocol}//`);
    }
    if (next.origin !== target.origin) {
      bearer = undefined;
    }
    target = next;
  }
  throw new SextantError('unavailable', `more than ${MAX_REDIRECTS} redirects`);
}

async function send(target: URL, headers: Record<string, string>): Promise<Response> {
  try {
    return await fetch(target, { headers, redirect: 'manual' });
  } catch (error) {
    throw new SextantError('unavailable', `${target.host} cannot be reached`, { cause: error });
  }
}

async function checked(response: Response, { host, pathname }: URL): Promise<Response> {
  if (response.ok || response.status === 416) {
    return response;
  }
  await response.body?.cancel();
  if ([401, 403, 404].includes(response.status)) {
    throw new SextantError(
      'model_unknown',
      `${host} answers ${response.status} for ${pathname}: no such model or file, or no access`,
    );
  }
  throw new SextantError('unavailable', `${host} answers ${response.status}`);
}
