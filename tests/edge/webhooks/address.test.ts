import { describe, expect, it } from 'vitest';
import { checkWebhookAddress } from '../../../edge/webhooks/address.ts';

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
  ])('refuses %s', (address) => {
    expect(() => checkWebhookAddress(address, false)).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });

  it.each(['https://hooks.service.dev/x?y=1', 'https://8.8.8.8:8443/', 'https://172.32.0.1/', 'https://100.128.0.1/'])(
    'takes %s',
    (address) => {
      expect(checkWebhookAddress(address, false).href).toBe(address);
    },
  );

  it('lets loopback through in development alone', () => {
    expect(checkWebhookAddress('http://127.0.0.1:9/x', true).port).toBe('9');
    expect(() => checkWebhookAddress('http://10.0.0.1:9/x', true)).toThrow();
  });
});
