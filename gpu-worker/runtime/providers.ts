/** Which execution provider to use: found by trying, because no list tells whether a driver works. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as g from '../graph/index.ts';
import { EngineError } from './errors.ts';
import { type Provider, Session } from './session.ts';

export type ProviderRequest = 'auto' | Provider;
export type ProviderChoice = {
  provider: Provider;
  /** What was tried before and why it does not work here, one sentence each. */
  refused: readonly { provider: Provider; reason: string }[];
};

const NEEDS: Readonly<Record<Provider, string>> = {
  cpu: 'onnxruntime could not run on the CPU',
  webgpu: 'WebGPU needs a Vulkan driver and its loader (libvulkan.so.1)',
  cuda: "CUDA needs an NVIDIA driver and onnxruntime's CUDA libraries, which the npm package does not contain",
};

/** Whether onnxruntime's CUDA libraries lie beside its own; trying without them prints an error of the runtime's. */
function hasCudaLibraries(): boolean {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node');
  const folder = join(dirname(library), '..', 'bin', 'napi-v6', process.platform, process.arch);
  return existsSync(folder) && readdirSync(folder).some((name) => name.includes('providers_cuda'));
}

/** Runs a tiny program on `provider` and compares its result; the reason it does not work, or undefined if it does. */
async function probe(provider: Provider): Promise<string | undefined> {
  if (provider === 'cuda' && !hasCudaLibraries()) {
    return NEEDS.cuda;
  }
  const program = g.compile({ y: g.mul(g.input('x', [2]), 2) }, { name: 'probe', target: provider });
  try {
    const session = await Session.create(program, { provider, threads: 1 });
    const { y } = await session.run({ x: Float32Array.of(1, -3) });
    await session.release();
    return y?.data[1] === -6 ? undefined : `${NEEDS[provider]}; a test product came out wrong`;
  } catch (error) {
    const detail = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ').slice(-160) : String(error);
    return `${NEEDS[provider]} (${detail.trim()})`;
  }
}

/** What was found out, by what was asked for: a process's devices do not change. */
const chosen = new Map<ProviderRequest, Promise<ProviderChoice>>();

/** The provider to use. `auto` takes the first of cuda, webgpu and cpu that works; a named one works or is refused. */
export function chooseProvider(request: ProviderRequest = 'auto'): Promise<ProviderChoice> {
  const known = chosen.get(request) ?? tryProviders(request);
  chosen.set(request, known);
  return known;
}

async function tryProviders(request: ProviderRequest): Promise<ProviderChoice> {
  const refused: { provider: Provider; reason: string }[] = [];
  for (const provider of request === 'auto' ? (['cuda', 'webgpu', 'cpu'] as const) : [request]) {
    const reason = provider === 'cpu' ? undefined : await probe(provider);
    if (reason === undefined) {
      return { provider, refused };
    }
    refused.push({ provider, reason });
  }
  throw new EngineError('provider_unavailable', refused.map(({ reason }) => reason).join('; '));
}
