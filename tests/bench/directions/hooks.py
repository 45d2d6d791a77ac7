"""The scoring of refusal candidates with hooks in transformers, as the published code does it: one candidate at a time."""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[1]))
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], attn_implementation="eager", dtype=torch.float32).eval()
blocks, width, vocabulary = model.model.layers, model.config.hidden_size, model.config.vocab_size
print(torch.__version__, flush=True)

BATCH, SEQ, TOKEN = 32, 64, 3


def prompts(count, shift):
    rows = [[(r * 31 + i * 17 + 5 + shift * (r + i)) % vocabulary for i in range(SEQ)] for r in range(count)]
    return torch.tensor(rows).split(BATCH)


HARMFUL, HARMLESS = prompts(128, 0), prompts(128, 3)
CHECKED = (HARMFUL[0], HARMLESS[0])


def last(ids):
    return model(ids, use_cache=False, logits_to_keep=1).logits[:, -1]


def means(batches):
    """Mean stream entering each block at the last five positions [layers, 5, width], in float64."""
    sums = torch.zeros(len(blocks), 5, width, dtype=torch.float64)

    def taken(n):
        def hook(_, args):
            sums[n] += args[0][:, -5:].double().sum(0)

        return hook

    hooks = [block.register_forward_pre_hook(taken(n)) for n, block in enumerate(blocks)]
    for ids in batches:
        last(ids)
    for hook in hooks:
        hook.remove()
    return sums / (BATCH * len(batches))


def without(unit):
    def edit(x):
        return x - (x @ unit)[..., None] * unit

    hooks = [blocks[0].register_forward_pre_hook(lambda _, args: (edit(args[0]),) + args[1:])]
    for block in blocks:
        hooks.append(block.self_attn.o_proj.register_forward_hook(lambda _, __, out: edit(out)))
        hooks.append(block.mlp.down_proj.register_forward_hook(lambda _, __, out: edit(out)))
    return hooks


def odds(logits):
    p = torch.softmax(logits.double(), -1)[:, TOKEN]
    return (torch.log(p + 1e-8) - torch.log(1 - p + 1e-8)).mean()


def divergence(a, b):
    p, q = torch.softmax(a.double(), -1), torch.softmax(b.double(), -1)
    return (p * (torch.log(p + 1e-6) - torch.log(q + 1e-6))).sum(-1).mean()


found = None


def derive():
    global found
    found = (means(HARMFUL) - means(HARMLESS)).float()


def score(position):
    plain = last(CHECKED[1])
    scores = []
    for layer in range(len(blocks)):
        vector = found[layer, position]
        hooks = without(vector / vector.norm().clamp_min(1e-12))
        bypass, spared = odds(last(CHECKED[0])), last(CHECKED[1])
        for hook in hooks:
            hook.remove()
        hook = blocks[layer].register_forward_pre_hook(lambda _, args: (args[0] + vector,) + args[1:])
        induce = odds(last(CHECKED[1]))
        hook.remove()
        scores.append([float(bypass), float(induce), float(divergence(plain, spared))])
    return scores


with torch.no_grad():
    for line in sys.stdin:
        what, *rest = line.split()
        begin = time.perf_counter()
        scores = derive() if what == "derive" else score(int(rest[0]))
        print(time.perf_counter() - begin, json.dumps(scores), flush=True)
