/** Asks a resolver by DNS over HTTPS (RFC 8484) for the addresses of a name. */
import { decode, encode } from '@dnsquery/dns-packet';
import { SextantError } from '../../shared/contracts/problem.ts';

const TIMEOUT_MS = 5_000;
const LIMIT = 65_535;

type Answer = { type: string; data?: unknown };
type Packet = { rcode?: string; answers?: Answer[] };

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

async function ask(resolver: string, name: string, type: 'A' | 'AAAA'): Promise<string[]> {
  // the id is 0 so that answers can be cached on the way (RFC 8484, 4.1); recursion is desired
  const query = encode({ type: 'query', id: 0, flags: 256, questions: [{ type, name }] });
  const url = new URL(resolver);
  url.searchParams.set('dns', base64url(query));
  const response = await fetch(url, {
    headers: { accept: 'application/dns-message' },
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) {
    throw new Error(`the resolver answered ${response.status}`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > LIMIT) {
    throw new Error('the answer is too long');
  }
  const packet = decode(bytes) as Packet;
  if (packet.rcode !== undefined && !['NOERROR', 'NXDOMAIN'].includes(packet.rcode)) {
    throw new Error(`the resolver answered ${packet.rcode}`);
  }
  return (packet.answers ?? []).flatMap(({ type: of, data }) =>
    of === type && typeof data === 'string' ? [data] : [],
  );
}

/** Every A and AAAA answer. Raises `unavailable` where either cannot be had or there is none. */
export async function resolveHost(resolver: string, name: string): Promise<string[]> {
  const answers = await Promise.all([ask(resolver, name, 'A'), ask(resolver, name, 'AAAA')]).catch((cause: unknown) => {
    throw new SextantError('unavailable', `the name cannot be resolved: ${String(cause).slice(0, 200)}`, { cause });
  });
  const found = answers.flat();
  if (found.length === 0) {
    throw new SextantError('unavailable', 'the name has no address');
  }
  return found;
}
