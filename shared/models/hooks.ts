/**
 * Names of the places inside a transformer that can be read (tapped) or rewritten (intervened on). Layers and heads are
 * counted from 0. With T positions, width d, H heads, G key/value heads of width h and an MLP of width f:
 *
 * | hook | shape per row | what |
 * |---|---|---|
 * | `resid_pre.L` | T x d | the residual stream that enters block L |
 * | `resid_mid.L` | T x d | the stream between attention and MLP; absent where the two are parallel |
 * | `resid_post.L` | T x d | the stream that leaves block L |
 * | `attn_out.L`, `mlp_out.L` | T x d | exactly what is added to the stream, after any post-norm |
 * | `head_out.L.H` | T x d | one head's share of the attention output, before the output bias and any post-norm |
 * | `mlp_act.L` | T x f | the activations, times the gate where there is one, before any sub-norm |
 * | `router.L` | T x experts | the router's logits, in layers with a mixture of experts, which have no `mlp_act` |
 * | `q.L` | T x (H h) | queries as projected, bias included, before head norms and rotary embedding |
 * | `k.L`, `v.L` | T x (G h) | keys and values, likewise |
 * | `z.L` | T x (H h) | the heads' values: sums of v by attention, after any sub-norm, before the output projection |
 * | `attn_pattern.L` | H x T x T | attention probabilities, query by key |
 */
import { SextantError } from '../contracts/problem.ts';

export const HOOK_KINDS = [
  'resid_pre',
  'resid_mid',
  'resid_post',
  'attn_out',
  'mlp_out',
  'mlp_act',
  'router',
  'head_out',
  'attn_pattern',
  'q',
  'k',
  'v',
  'z',
] as const;
export type HookKind = (typeof HOOK_KINDS)[number];

/** A parsed hook; `head` is null except for `head_out`. */
type Hook = { kind: HookKind; layer: number; head: number | null };

const PATTERN = /^([a-z_]+)\.(0|[1-9][0-9]{0,3})(?:\.(0|[1-9][0-9]{0,3}))?$/;

/** The hook that `text` names. @throws SextantError `hook_unknown` */
export function parseHook(text: string): Hook {
  const [, name, layer, head] = PATTERN.exec(text) ?? [];
  const kind = HOOK_KINDS.find((candidate) => candidate === name);
  if (!kind || (kind === 'head_out') !== (head !== undefined)) {
    throw new SextantError(
      'hook_unknown',
      `'${text.slice(0, 80)}' is not a hook point; write KIND.LAYER with KIND one of ${HOOK_KINDS.filter((k) => k !== 'head_out').join(', ')}, or head_out.LAYER.HEAD`,
    );
  }
  return { kind, layer: Number(layer), head: head === undefined ? null : Number(head) };
}

/** The one spelling of a hook. */
export const formatHook = ({ kind, layer, head }: Hook): string =>
  head === null ? `${kind}.${layer}` : `${kind}.${layer}.${head}`;

/** What of a model decides which hooks it has. */
type HookShape = {
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  width: number;
  mlpWidth: number;
  parallel: boolean;
  experts: { count: number; layers: readonly boolean[] } | null;
};

/** Whether a layer of a model has hooks of a kind. */
function hasKind({ parallel, experts }: HookShape, kind: HookKind, layer: number): boolean {
  const sparse = experts?.layers[layer] ?? false;
  switch (kind) {
    case 'resid_mid':
      return !parallel;
    case 'mlp_act':
      return !sparse;
    case 'router':
      return sparse;
    default:
      return true;
  }
}

/** All hooks of a model, layer by layer. */
export function listHooks(model: HookShape): string[] {
  const hooks: string[] = [];
  for (let layer = 0; layer < model.layers; layer++) {
    for (const kind of HOOK_KINDS.filter((kind) => hasKind(model, kind, layer))) {
      if (kind === 'head_out') {
        for (let head = 0; head < model.heads; head++) {
          hooks.push(formatHook({ kind, layer, head }));
        }
      } else {
        hooks.push(formatHook({ kind, layer, head: null }));
      }
    }
  }
  return hooks;
}

/** The parsed hook, after checking that the model has it. @throws SextantError `hook_unknown` */
export function requireHook(model: HookShape, text: string): Hook {
  const hook = parseHook(text);
  if (hook.layer >= model.layers) {
    throw new SextantError('hook_unknown', `'${text}': the model has layers 0 to ${model.layers - 1}`);
  }
  if (hook.head !== null && hook.head >= model.heads) {
    throw new SextantError('hook_unknown', `'${text}': the model has heads 0 to ${model.heads - 1}`);
  }
  if (hook.kind === 'resid_mid' && model.parallel) {
    throw new SextantError(
      'hook_unknown',
      `'${text}': attention and MLP are parallel here, so nothing lies between them`,
    );
  }
  if (!hasKind(model, hook.kind, hook.layer)) {
    const what = hook.kind === 'router' ? 'no experts' : 'experts, each with activations of its own';
    throw new SextantError('hook_unknown', `'${text}': layer ${hook.layer} has ${what}`);
  }
  return hook;
}

/** Width of the vectors at a hook; null for attention patterns, which are not vectors of fixed width. */
export function hookWidth(model: HookShape, hook: Hook): number | null {
  switch (hook.kind) {
    case 'mlp_act':
      return model.mlpWidth;
    case 'q':
    case 'z':
      return model.heads * model.headDim;
    case 'k':
    case 'v':
      return model.kvHeads * model.headDim;
    case 'router':
      return model.experts?.count ?? 0;
    case 'attn_pattern':
      return null;
    default:
      return model.width;
  }
}
