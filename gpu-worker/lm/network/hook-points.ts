/**
 * The places of a transformer's graph that can be read or rewritten. The blocks call `at` at every hook point; what
 * happens there is decided when the graph is built, so an unused hook costs nothing.
 */
import { formatHook, type HookKind } from '../../../shared/models/hooks.ts';
import type { Tensor } from '../../graph/index.ts';

export type HookPoints = {
  /** The value that goes on from a hook point. */
  at(kind: HookKind, layer: number, value: Tensor, head?: number): Tensor;
  /** Whether anything happens there; hooks whose value costs something to compute ask first. */
  has(kind: HookKind, layer: number, head?: number): boolean;
};

/** Rewrites a value at a hook point. */
export type Edit = (value: Tensor) => Tensor;

/** Hook points with edits applied in order, and then taps: a tap reads what goes on from its hook. */
export class TappedHookPoints implements HookPoints {
  readonly taps = new Map<string, Tensor>();
  readonly #tapped: Set<string>;
  readonly #edits = new Map<string, Edit[]>();

  constructor(taps: readonly string[] = [], edits: readonly { hook: string; edit: Edit }[] = []) {
    this.#tapped = new Set(taps);
    for (const { hook, edit } of edits) {
      this.#edits.set(hook, [...(this.#edits.get(hook) ?? []), edit]);
    }
  }

  has(kind: HookKind, layer: number, head?: number): boolean {
    const hook = formatHook({ kind, layer, head: head ?? null });
    return this.#tapped.has(hook) || this.#edits.has(hook);
  }

  at(kind: HookKind, layer: number, value: Tensor, head?: number): Tensor {
    const hook = formatHook({ kind, layer, head: head ?? null });
    const out = (this.#edits.get(hook) ?? []).reduce((tensor, edit) => edit(tensor), value);
    if (this.#tapped.has(hook)) {
      this.taps.set(hook, out);
    }
    return out;
  }
}
