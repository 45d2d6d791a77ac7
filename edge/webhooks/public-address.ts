/** Whether an IP address belongs to the public internet: nothing else is ever sent a webhook. */
import ipaddr from 'ipaddr.js';

/** Ranges that are assigned but that ipaddr.js takes for ordinary unicast. */
const FURTHER = [
  '192.88.99.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.175.48.0/24',
  '3fff::/20',
  '5f00::/16',
].map((range) => ipaddr.parseCIDR(range));

/**
 * True for global unicast alone. Addresses that carry another one inside (mapped, translated, 6to4, Teredo) are refused
 * whatever they carry: what reaches them depends on a translator that is not ours to judge.
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) {
    return false;
  }
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') {
    return false;
  }
  // of IPv6, only 2000::/3 is handed out
  if (address.kind() === 'ipv6' && ((address.toByteArray()[0] ?? 0) & 0xe0) !== 0x20) {
    return false;
  }
  return !FURTHER.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
}
