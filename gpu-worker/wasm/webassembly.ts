/** The part of the WebAssembly interface that is used here; the compiler's library declares it for browsers only. */
export type SharedMemory = { readonly buffer: SharedArrayBuffer };
export type Module = { readonly kind?: 'module' };
type KernelExport = (...values: number[]) => void;
type Interface = {
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => SharedMemory;
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => Module;
  Instance: new (
    module: Module,
    imports: { env: { memory: SharedMemory } },
  ) => { exports: Record<string, KernelExport> };
};
export const { Memory, Module, Instance, validate } = (globalThis as unknown as { WebAssembly: Interface }).WebAssembly;
