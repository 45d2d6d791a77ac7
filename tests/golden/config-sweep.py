"""Every field of nine configs deleted, nulled and flipped, in two spellings, with what transformers computes then.

`python3 tests/golden/config-sweep.py DIR`, then `node tests/golden/config-sweep.ts DIR`, which opens the same folders and says
where the two differ. Needs torch and transformers, so it is no part of the tests.

DIR/FAMILY has model.safetensors and, one a mutation, NAME.json with `config` and `outcome`: 'computed', or why not; the logits
of those that were computed are in DIR/FAMILY/logits.safetensors.
"""

import copy
import json
import os
import sys
import warnings

import torch
import transformers as t
from safetensors.torch import save_file

warnings.filterwarnings('ignore')
t.logging.set_verbosity_error()

BASE = dict(
    vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None, bos_token_id=1, eos_token_id=2,
)
YARN = {'rope_type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 16, 'rope_theta': 1e4}
MODELS = {
    'llama': lambda: t.LlamaConfig(**BASE, rope_parameters=YARN),
    'mistral': lambda: t.MistralConfig(**BASE, sliding_window=6, head_dim=8),
    'qwen2': lambda: t.Qwen2Config(**BASE, use_sliding_window=True, sliding_window=6, max_window_layers=1),
    'qwen3': lambda: t.Qwen3Config(**BASE, head_dim=8),
    'gemma2': lambda: t.Gemma2Config(**BASE, head_dim=8, query_pre_attn_scalar=12, sliding_window=6),
    'gemma3_text': lambda: t.Gemma3TextConfig(**BASE, head_dim=8, query_pre_attn_scalar=12, sliding_window=6),
    'phi3': lambda: t.Phi3Config(**BASE, sliding_window=7),
    'gpt2': lambda: t.GPT2Config(vocab_size=61, n_embd=32, n_layer=3, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2),
    'gpt_neox': lambda: t.GPTNeoXConfig(
        vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
    ),
}
WORDS = {'silu': 'gelu', 'gelu': 'relu', 'gelu_new': 'gelu', 'gelu_pytorch_tanh': 'gelu', 'yarn': 'linear', 'default': 'linear'}


def as_published(config):
    """The same config with the fields that publishers wrote before transformers 5; null where there are none."""
    rope = config.get('rope_parameters')
    if not rope:
        return None
    old = {name: value for name, value in config.items() if name not in ('rope_parameters', 'dtype', 'layer_types')}
    if 'full_attention' in rope:
        old.update(rope_theta=rope['full_attention']['rope_theta'], rope_local_base_freq=rope['sliding_attention']['rope_theta'])
        old.update(rope_scaling=None, sliding_window_pattern=6)
        return old
    scaling = {name: value for name, value in rope.items() if name not in ('rope_theta', 'partial_rotary_factor')}
    old.update(rope_theta=rope['rope_theta'], rope_scaling=None if scaling == {'rope_type': 'default'} else scaling, torch_dtype='float32')
    return old


def flipped(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5 + 0.25
    if isinstance(value, str):
        return WORDS.get(value, value + 'x')
    if isinstance(value, list):
        return value[::-1] if value != value[::-1] else value[:-1]
    return value


def mutations(config):
    yield 'as-it-is', config
    # What is not written is 0, true, false or a word too.
    for name, value in [('is_causal', False), ('attention_bias', True), ('mlp_bias', True), ('use_bidirectional_attention', True)]:
        yield f'add-{name}', {**config, name: value}

    def within(path, inner):
        for name, value in inner.items():
            at = [*path, name]
            if name in ('architectures', 'transformers_version', 'model_type', 'dtype', 'torch_dtype'):
                continue
            if isinstance(value, dict):
                yield from within(at, value)
            label = '.'.join(at)
            for kind in ('delete', 'null', 'flip'):
                changed = copy.deepcopy(config)
                place = changed
                for step in path:
                    place = place[step]
                if kind == 'delete':
                    del place[name]
                elif kind == 'null':
                    place[name] = None
                elif not isinstance(value, dict) and value is not None:
                    place[name] = flipped(value)
                else:
                    continue
                yield f'{kind}-{label}', changed

    yield from within([], config)


def computed(folder, config, ids):
    """Logits, or why there are none: an error, or weights that do not fit."""
    try:
        path = os.path.join(folder, 'now')
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, 'config.json'), 'w') as out:
            json.dump(config, out)
        if not os.path.exists(os.path.join(path, 'model.safetensors')):
            os.link(os.path.join(folder, 'model.safetensors'), os.path.join(path, 'model.safetensors'))
        model, info = t.AutoModelForCausalLM.from_pretrained(
            path, output_loading_info=True, attn_implementation='eager', dtype=torch.float32
        )
        for kind in ('missing_keys', 'unexpected_keys', 'mismatched_keys'):
            if info.get(kind):
                return None, f'{kind}: {sorted(map(str, info[kind]))[:2]}'
        with torch.no_grad():
            return model.eval()(input_ids=ids, use_cache=False).logits.contiguous(), 'computed'
    except Exception as error:  # whatever it is, transformers does not compute this
        return None, f'{type(error).__name__}: {str(error)[:120]}'


def main():
    root, *names = sys.argv[1:]
    for number, (family, make) in enumerate(MODELS.items()):
        if names and family not in names:
            continue
        torch.manual_seed(number)
        folder = os.path.join(root, family)
        model = t.AutoModelForCausalLM.from_config(make(), attn_implementation='eager').float()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.copy_(torch.randn_like(parameter) * 1.8 / parameter.shape[-1] ** 0.5)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        model.save_pretrained(folder)
        with open(os.path.join(folder, 'config.json')) as file:
            config = json.load(file)
        ids = torch.randint(3, 61, (1, 24), generator=torch.Generator().manual_seed(1))
        logits, cases = {'input_ids': ids}, []
        forms = {'': config, 'published ': as_published(config)}
        for form, written in forms.items():
            for name, changed in mutations(written) if written else []:
                out, outcome = computed(folder, changed, ids)
                cases.append({'name': form + name, 'config': changed, 'outcome': outcome})
                if out is not None:
                    logits[form + name] = out
        with open(os.path.join(folder, 'cases.json'), 'w') as file:
            json.dump(cases, file)
        save_file(logits, os.path.join(folder, 'logits.safetensors'))
        print(family, len(cases), 'configs,', sum(case['outcome'] == 'computed' for case in cases), 'computed by transformers', flush=True)


main()
