import { describe, expect, it } from 'vitest';
import { checkWebhookAddress } from '../../../edge/webhooks/address.ts';

const closed = { DNS_RESOLVER: 'https://resolver.test/', PUBLIC_HOSTS: 'sextant.dev, api.sextant.dev:8443' };
const open = { ...closed, WEBHOOK_ALLOW_LOOPBACK: '1' };

describe('a webhook address', () => {
  it.each([
    'http://hooks.service.dev/x',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://017700000001/',
    'https://10.1.2.3/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[fd00::1]/',
    'https://localhost/',
    'https://localhost./',
    'https://metadata.google.internal/',
    'https://intranet/',
    'https://printer.local/',
    'https://user:pass@hooks.service.dev/',
    'ftp://hooks.service.dev/',
    'file:///etc/passwd',
    'nonsense',
    'https://sextant.dev/x',
    'https://SEXTANT.dev./x',
    'https://api.sextant.dev:8443/x',
  ])('refuses %s', (address) => {
    expect(() => checkWebhookAddress(closed, address)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  it.each(['https://hooks.service.dev/x?y=1', 'https://8.8.8.8:8443/', 'https://172.32.0.1/', 'https://100.128.0.1/'])(
    'takes %s',
    (address) => {
      expect(checkWebhookAddress(closed, address).href).toBe(address);
    },
  );

  it('lets loopback through in development alone', () => {
    expect(checkWebhookAddress(open, 'http://127.0.0.1:9/x').port).toBe('9');
    expect(() => checkWebhookAddress(open, 'http://10.0.0.1:9/x')).toThrow();
  });
});
