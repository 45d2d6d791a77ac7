/** Which addresses a webhook may be sent to: public https hosts, so that the edge is no way into private networks. */
import { SextantError } from '../../shared/contracts/problem.ts';
import type { Env } from '../environment.ts';
import { isPublicAddress } from './public-address.ts';
import { resolveHost } from './resolver.ts';

type AddressRules = Pick<Env, 'WEBHOOK_ALLOW_LOOPBACK' | 'PUBLIC_HOSTS' | 'DNS_RESOLVER'>;

const isV4 = (host: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
/** Names that only a private network resolves. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|test|invalid|example|onion|arpa)$/;

const ownHosts = (env: AddressRules): string[] =>
  (env.PUBLIC_HOSTS ?? '')
    .toLowerCase()
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');

/** A host with its port, the port of https left out. */
const isOwn = (url: URL, hosts: readonly string[]): boolean =>
  hosts.some((host) => host === url.host || host === url.hostname.replace(/\.$/, ''));

/** In development alone a receiver may run on this machine. */
const isLoopback = (env: AddressRules, url: URL): boolean =>
  env.WEBHOOK_ALLOW_LOOPBACK === '1' &&
  (url.hostname === '127.0.0.1' || url.hostname === 'localhost') &&
  /^https?:$/.test(url.protocol);

/**
 * Raises `validation_failed` for an address that webhooks never go to, judged by its spelling; `pointer` says where it
 * stood, `here` is the host that the request itself came to. The URL parser has already turned every spelling of an IPv4
 * address (octal, hexadecimal, one number) into dotted decimal.
 */
export function checkWebhookAddress(env: AddressRules, address: string, pointer = '/webhook', here?: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  const refuse = (detail: string) =>
    new SextantError('validation_failed', `${pointer}: ${detail}`, {
      errors: [{ pointer, code: 'address_refused', detail }],
    });
  if (!url) {
    throw refuse('not a URL');
  }
  const host = url.hostname.replace(/\.$/, '');
  if (isOwn(url, [...ownHosts(env), ...(here ? [here.toLowerCase()] : [])])) {
    throw refuse('this is the service itself');
  }
  if (isLoopback(env, url)) {
    return url;
  }
  if (url.protocol !== 'https:') {
    throw refuse('webhooks are sent to https addresses only');
  }
  if (url.username || url.password) {
    throw refuse('the address must not hold credentials');
  }
  // A literal IPv6 address is never a service that a certificate vouches for by name.
  if (host.startsWith('[')) {
    throw refuse('name the host instead of giving an IPv6 address');
  }
  if (isV4(host) ? !isPublicAddress(host) : LOCAL_NAME.test(host) || !host.includes('.')) {
    throw refuse('the host is private or reserved');
  }
  return url;
}

/**
 * The address judged once more, just before an attempt: what its name resolves to now. Raises `address_refused` where any
 * answer is not public, `unavailable` where there is no answer.
 */
export async function judgeAddress(env: AddressRules, address: string): Promise<URL> {
  let url: URL;
  try {
    url = checkWebhookAddress(env, address);
  } catch (error) {
    throw new SextantError('address_refused', error instanceof SextantError ? error.message : String(error));
  }
  const host = url.hostname.replace(/\.$/, '');
  if (isLoopback(env, url) || isV4(host)) {
    return url;
  }
  const answers = await resolveHost(env.DNS_RESOLVER, host);
  if (answers.some((answer) => !isPublicAddress(answer))) {
    throw new SextantError('address_refused', 'the name resolves to an address that is not public');
  }
  return url;
}
