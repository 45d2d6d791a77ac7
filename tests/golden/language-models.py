"""Reference outputs of small random language models, by transformers: `python3 tests/golden/language-models.py DIR [NAME]`.

Each model becomes a folder DIR/NAME with config.json, weights and expected.safetensors (input_ids, logits, hidden.i,
router.i, loss, greedy; gradients of dense models), for `npm run --silent verify -- lm DIR/NAME`. Needs torch and transformers, so it is no part of the tests.
"""

import os
import sys

import torch
import transformers as t
from safetensors.torch import save_file

BASE = dict(
    vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None, bos_token_id=1, eos_token_id=2,
)
YARN = {'rope_type': 'yarn', 'factor': 4.0, 'original_max_position_embeddings': 16, 'rope_theta': 1e4}


def long(pairs):
    return {
        'rope_type': 'longrope', 'rope_theta': 1e4,
        'short_factor': [1 + 0.1 * i for i in range(pairs)], 'long_factor': [2 + 0.5 * i for i in range(pairs)],
    }


MODELS = {
    'gemma3_text': lambda: t.Gemma3TextConfig(**BASE, head_dim=16, query_pre_attn_scalar=24, sliding_window=5),
    'gemma3_text-scaled': lambda: t.Gemma3TextConfig(
        **{**BASE, 'num_hidden_layers': 7}, head_dim=8, sliding_window=7, final_logit_softcapping=3.0,
        rope_parameters={
            'full_attention': {'rope_type': 'linear', 'factor': 8.0, 'rope_theta': 1e6},
            'sliding_attention': {'rope_type': 'default', 'rope_theta': 1e4},
        },
    ),
    'olmo2': lambda: t.Olmo2Config(**BASE),
    'olmo2-biased': lambda: t.Olmo2Config(**{**BASE, 'num_key_value_heads': 4}, attention_bias=True),
    'olmo3': lambda: t.Olmo3Config(**BASE, sliding_window=6),
    'olmo3-yarn': lambda: t.Olmo3Config(
        **BASE, sliding_window=6,
        rope_parameters={'full_attention': YARN, 'sliding_attention': {'rope_type': 'default', 'rope_theta': 1e4}},
    ),
    'phi3': lambda: t.Phi3Config(**BASE, sliding_window=7),
    'phi3-long': lambda: t.Phi3Config(**BASE, original_max_position_embeddings=16, rope_parameters=long(4)),
    'phi3-partial': lambda: t.Phi3Config(
        **{**BASE, 'hidden_size': 64}, tie_word_embeddings=True, original_max_position_embeddings=32,
        rope_parameters={**long(6), 'partial_rotary_factor': 0.75},
    ),
    'smollm3': lambda: t.SmolLM3Config(**BASE),
    'smollm3-windows': lambda: t.SmolLM3Config(
        **BASE, no_rope_layers=[1, 0, 0, 1], use_sliding_window=True, sliding_window=5, attention_bias=True,
        mlp_bias=True, tie_word_embeddings=False,
    ),
    'qwen3_moe': lambda: t.Qwen3MoeConfig(
        **BASE, head_dim=8, moe_intermediate_size=24, num_experts=6, num_experts_per_tok=2, norm_topk_prob=True,
    ),
    'qwen3_moe-mixed': lambda: t.Qwen3MoeConfig(
        **BASE, head_dim=16, moe_intermediate_size=16, num_experts=5, num_experts_per_tok=3, decoder_sparse_step=2,
        mlp_only_layers=[3], attention_bias=True, tie_word_embeddings=True,
    ),
    'mixtral': lambda: t.MixtralConfig(**BASE, num_local_experts=4, num_experts_per_tok=2),
    'mixtral-windows': lambda: t.MixtralConfig(
        **BASE, num_local_experts=3, num_experts_per_tok=1, sliding_window=6, head_dim=16,
    ),
    'gemma': lambda: t.GemmaConfig(**BASE, head_dim=16),
    'gpt_neo': lambda: t.GPTNeoConfig(
        vocab_size=97, hidden_size=32, num_layers=4, num_heads=4, attention_types=[[['global', 'local'], 2]],
        window_size=6, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
    ),
}


def randomised(model):
    """Every weight random, norms and biases too, so that no term is hidden by a zero or a one."""
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.6 / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.2
            start = parameter if parameter.dim() == 1 else torch.zeros_like(parameter)
            parameter.copy_(start + torch.randn_like(parameter) * scale * (3 if parameter.dim() > 1 else 1))
    return model.eval()


def watched(model, tensors):
    """Keeps what every router says before its softmax, by layer."""
    layers = [name for name, module in model.named_modules() if name.split('.')[-1] == 'gate' and module.weight.dim() == 2]
    for name in layers:
        number = next(part for part in name.split('.') if part.isdigit())

        def keep(module, inputs, _, number=number):
            tensors[f'router.{number}'] = torch.nn.functional.linear(inputs[0].reshape(-1, module.weight.shape[1]), module.weight)

        yield model.get_submodule(name).register_forward_hook(keep)


def expected(model, dense):
    ids = torch.randint(3, 97, (2, 24))
    tensors = {}
    hooks = list(watched(model, tensors))
    out = model(input_ids=ids, labels=ids, output_hidden_states=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    tensors |= {'input_ids': ids, 'logits': out.logits, 'loss': out.loss.reshape(1)}
    for i, hidden in enumerate(out.hidden_states):
        tensors[f'hidden.{i}'] = hidden
    # Without a cache, which does not survive the original context of a LongRoPE.
    tensors['greedy'] = model.generate(
        ids[:1, :8], max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0, use_cache=False
    )
    if dense:
        out.loss.backward()
        largest = max(parameter.grad.abs().max() for parameter in model.parameters())
        for name, parameter in model.named_parameters():
            # Biases of keys that are not turned change nothing: what is there is rounding.
            if parameter.grad.abs().max() > 1e-6 * largest:
                tensors[f'grad.{name}'] = parameter.grad
    return {name: value.detach().contiguous().clone() for name, value in tensors.items()}


def main():
    folder, *names = sys.argv[1:]
    for number, (name, make) in enumerate(MODELS.items()):
        if names and name not in names:
            continue
        torch.manual_seed(number)
        config = make()
        config._attn_implementation = 'eager'
        model = randomised(t.AutoModelForCausalLM.from_config(config, attn_implementation='eager').float())
        path = os.path.join(folder, name)
        model.save_pretrained(path)
        save_file(expected(model, 'moe' not in name and 'mixtral' not in name), os.path.join(path, 'expected.safetensors'))
        print(name)


main()
