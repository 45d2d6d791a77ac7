import { describe, expect, it } from 'vitest';
import { formatHook, HOOK_KINDS, hookWidth, listHooks, parseHook, requireHook } from '../../../shared/models/hooks.ts';

const model = { layers: 3, heads: 4, kvHeads: 2, headDim: 8, width: 24, mlpWidth: 40, parallel: false, experts: null };

describe('hook names', () => {
  it('are parsed and written in one spelling', () => {
    for (const kind of HOOK_KINDS) {
      for (const layer of [0, 7, 31]) {
        const hook = { kind, layer, head: kind === 'head_out' ? 5 : null };
        expect(parseHook(formatHook(hook))).toEqual(hook);
      }
    }
  });

  it.each([
    '',
    'resid_post',
    'resid_post.',
    'resid_post.-1',
    'resid_post.01',
    'resid_post.1.0',
    'head_out.1',
    'Q.0',
    ' q.0',
    'q.0 ',
    'q.99999',
    'toString.0',
  ])('are refused: "%s"', (text) =>
    expect(() => parseHook(text)).toThrow(expect.objectContaining({ code: 'hook_unknown' })),
  );

  it('of a model are all accepted by it, once each', () => {
    const hooks = listHooks(model);
    expect(new Set(hooks).size).toBe(3 * (11 + 4));
    expect(hooks.length).toBe(3 * (11 + 4));
    for (const hook of hooks) {
      expect(formatHook(requireHook(model, hook))).toBe(hook);
    }
    expect(listHooks({ ...model, parallel: true })).not.toContain('resid_mid.0');
  });

  it('say which layers and heads there are where one does not exist', () => {
    expect(() => requireHook(model, 'q.3')).toThrow('layers 0 to 2');
    expect(() => requireHook(model, 'head_out.0.4')).toThrow('heads 0 to 3');
  });

  it('have the width of what lies there', () => {
    const widths = Object.fromEntries(
      HOOK_KINDS.map((kind) => [kind, hookWidth(model, { kind, layer: 0, head: null })]),
    );
    expect(widths).toMatchObject({ resid_pre: 24, head_out: 24, mlp_act: 40, q: 32, k: 16, v: 16, attn_pattern: null });
  });
});
