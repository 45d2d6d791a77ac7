/** Which addresses a webhook may be sent to: public https hosts, so that the edge is no way into private networks. */
import { SextantError } from '../../shared/contracts/problem.ts';

/** IPv4 ranges that are not the public internet, as [first octets, prefix length]. */
const PRIVATE_V4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

const v4Number = (address: string): number => address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
const isV4 = (host: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
const isPrivateV4 = (host: string): boolean =>
  PRIVATE_V4.some(
    ([base, bits]) => Math.floor(v4Number(host) / 2 ** (32 - bits)) === v4Number(base) / 2 ** (32 - bits),
  );
/** Names that only a private network resolves. */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|test|invalid|example|onion|arpa)$/;

/**
 * Raises `validation_failed` for an address that webhooks never go to. The URL parser has already turned every spelling
 * of an IPv4 address (octal, hexadecimal, one number) into dotted decimal. `allowLoopback` is for development alone.
 */
export function checkWebhookAddress(address: string, allowLoopback: boolean): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  const refuse = (detail: string) =>
    new SextantError('validation_failed', `/webhook: ${detail}`, {
      errors: [{ pointer: '/webhook', code: 'address_refused', detail }],
    });
  if (!url) throw refuse('not a URL');
  const host = url.hostname.replace(/\.$/, '');
  if (allowLoopback && (host === '127.0.0.1' || host === 'localhost') && /^https?:$/.test(url.protocol)) return url;
  if (url.protocol !== 'https:') throw refuse('webhooks are sent to https addresses only');
  if (url.username || url.password) throw refuse('the address must not hold credentials');
  // A literal IPv6 address is never a service that a certificate vouches for by name.
  if (host.startsWith('[')) throw refuse('name the host instead of giving an IPv6 address');
  if (isV4(host) ? isPrivateV4(host) : LOCAL_NAME.test(host) || !host.includes('.'))
    throw refuse('the host is private or reserved');
  return url;
}
