"""The algorithms of the bench with hooks in transformers: edge attribution patching, and exact patching one run a component."""
import sys
import time

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[1]))
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], attn_implementation="eager", dtype=torch.float32).eval()
for weight in model.parameters():
    weight.requires_grad_(False)
blocks = model.transformer.h
HEADS, WIDTH = model.config.n_head, model.config.n_embd
SIZE = WIDTH // HEADS
BATCH, SEQ = 32, 16
print(torch.__version__, flush=True)


def rows(shift):
    return torch.tensor(
        [[(r * 31 + i * 17 + 5 + shift * (r + i)) % model.config.vocab_size for i in range(SEQ)] for r in range(BATCH)]
    )


CLEAN, CORRUPTED = rows(0), rows(3)
ANSWER, OTHER = torch.arange(BATCH) + 7, torch.arange(BATCH) + 99


def metric(logits):
    at = torch.arange(BATCH)
    return logits[at, -1, ANSWER] - logits[at, -1, OTHER]


def record(ids):
    """Outputs of the sources: embeddings, values of heads before their projection, MLPs."""
    kept = {}
    hooks = [blocks[0].register_forward_pre_hook(lambda _, args: kept.__setitem__("input", args[0]))]
    for n, block in enumerate(blocks):
        hooks.append(block.attn.c_proj.register_forward_pre_hook(lambda _, args, n=n: kept.__setitem__(f"z{n}", args[0])))
        hooks.append(block.mlp.register_forward_hook(lambda _, __, out, n=n: kept.__setitem__(f"m{n}", out)))
    model(ids, use_cache=False, logits_to_keep=1)
    for hook in hooks:
        hook.remove()
    return kept


def differences(clean, corrupted):
    """[sources, batch, seq, width]"""
    found = [(corrupted["input"] - clean["input"])[None]]
    for n, block in enumerate(blocks):
        z = (corrupted[f"z{n}"] - clean[f"z{n}"]).view(BATCH, SEQ, HEADS, SIZE)
        found.append(torch.einsum("bthe,hed->hbtd", z, block.attn.c_proj.weight.view(HEADS, SIZE, WIDTH)))
        found.append((corrupted[f"m{n}"] - clean[f"m{n}"])[None])
    return torch.cat(found)


def eap():
    with torch.no_grad():
        changes = differences(record(CLEAN), record(CORRUPTED))
    streams, projected = {}, {}
    hooks = []

    def entering(name):
        def hook(_, args):
            stream = args[0].requires_grad_() if not args[0].requires_grad else args[0]
            own = stream.view_as(stream)
            own.retain_grad()
            streams[name] = own
            return (own,)

        return hook

    def kept(name):
        def hook(_, __, out):
            out.retain_grad()
            projected[name] = out

        return hook

    for n, block in enumerate(blocks):
        hooks.append(block.ln_1.register_forward_pre_hook(entering(f"a{n}")))
        hooks.append(block.ln_2.register_forward_pre_hook(entering(f"m{n}")))
        hooks.append(block.attn.c_attn.register_forward_hook(kept(n)))
    hooks.append(model.transformer.ln_f.register_forward_pre_hook(entering("logits")))
    with torch.enable_grad():
        metric(model(CLEAN, use_cache=False, logits_to_keep=1).logits).sum().backward()
    for hook in hooks:
        hook.remove()
    scores = []
    with torch.no_grad():
        for n, block in enumerate(blocks):
            x = streams[f"a{n}"]
            centred = x - x.mean(-1, keepdim=True)
            inverse = (centred.square().mean(-1, keepdim=True) + block.ln_1.eps).rsqrt()
            unit = centred * inverse
            slopes = projected[n].grad.view(BATCH, SEQ, 3 * HEADS, SIZE)
            weight = block.attn.c_attn.weight.view(WIDTH, 3 * HEADS, SIZE)
            by = torch.einsum("bthe,dhe->hbtd", slopes, weight) * (block.ln_1.weight * inverse)
            by = by - by.mean(-1, keepdim=True) - unit * (by * unit).mean(-1, keepdim=True)
            before = 1 + n * (HEADS + 1)
            scores.append(torch.einsum("ubtd,vbtd->uv", changes[:before], by))
            scores.append(torch.einsum("ubtd,btd->u", changes[: before + HEADS], streams[f"m{n}"].grad))
        scores.append(torch.einsum("ubtd,btd->u", changes, streams["logits"].grad))
    return scores


def exact():
    """One run for each head and MLP, with its output on the corrupted prompts put into the clean run."""
    with torch.no_grad():
        corrupted = record(CORRUPTED)
        found = []
        for n, block in enumerate(blocks):
            for head in range(HEADS):
                part = slice(head * SIZE, (head + 1) * SIZE)

                def put(_, args, n=n, part=part):
                    z = args[0].clone()
                    z[..., part] = corrupted[f"z{n}"][..., part]
                    return (z,)

                hook = block.attn.c_proj.register_forward_pre_hook(put)
                found.append(metric(model(CLEAN, use_cache=False, logits_to_keep=1).logits).mean())
                hook.remove()
            hook = block.mlp.register_forward_hook(lambda _, __, ___, n=n: corrupted[f"m{n}"])
            found.append(metric(model(CLEAN, use_cache=False, logits_to_keep=1).logits).mean())
            hook.remove()
    return torch.stack(found)


for line in sys.stdin:
    work = {"eap": eap, "exact": exact}[line.strip()]
    begin = time.perf_counter()
    work()
    print(time.perf_counter() - begin, flush=True)
