/** Requests to a model hub: redirects followed by hand, so that a token never reaches another origin. */
import { SextantError } from '../../../shared/contracts/problem.ts';

const MAX_REDIRECTS = 5;

type HubRequest = {
  token?: string | undefined;
  headers?: Record<string, string>;
  /** Ends the request, its body included. */
  signal?: AbortSignal | undefined;
};

/**
 * GET with redirects. The token goes to the first origin only; once another origin was visited it is gone for good.
 * @throws SextantError `model_unknown` for 401, 403 and 404, `unavailable` for other failures
 */
export async function hubGet(url: string, { token, headers = {}, signal }: HubRequest): Promise<Response> {
  let target = new URL(url);
  let bearer = token;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const asked = { ...headers, ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) };
    const response = await send(target, asked, signal);
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

async function send(target: URL, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(target, { headers, redirect: 'manual', ...(signal && { signal }) });
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
  const retryAfterS = secondsOf(response.headers.get('retry-after'));
  throw new SextantError('unavailable', `${host} answers ${response.status}`, { retryAfterS });
}

/** `Retry-After` in seconds, whether it names a time or a pause (RFC 9110, 10.2.3). */
function secondsOf(text: string | null): number | undefined {
  if (text === null) {
    return undefined;
  }
  const seconds = /^\d{1,6}$/.test(text.trim()) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
