import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasSoftwareVulkan, softwareVulkan } from '../../support/software-vulkan.ts';

describe.skipIf(!hasSoftwareVulkan)('training on WebGPU (software Vulkan driver)', () => {
  it('follows the CPU on an autoencoder and a transformer', () => {
    const script = join(import.meta.dirname, 'webgpu-steps.ts');
    const printed = execFileSync(process.execPath, [script], { env: softwareVulkan(), encoding: 'utf8' });
    const report = JSON.parse(printed.trim().split('\n').at(-1)!);
    for (const name of ['sae', 'transformer']) {
      const { provider, steps, loss, fell, state } = report[name];
      expect(provider).toBe('webgpu');
      expect(steps).toBe(4);
      expect(fell, `${name}: the loss falls`).toBeGreaterThan(0);
      expect(loss, `${name}: losses`).toBeLessThan(1e-4);
      expect(state, `${name}: parameters, moments and averages`).toBeLessThan(1e-3);
    }
  }, 180_000);
});
