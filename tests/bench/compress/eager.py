"""Wanda, SparseGPT and GPTQ block by block in PyTorch eager, for side-by-side timing.

Arguments: threads, model folder. Prints its PyTorch version, then answers every line "<method> <rows> <length>" with seconds.
Each block is calibrated on the stream of the compressed blocks before it; layers that read one input share its sums; passes
take 2048 tokens at once, single precision throughout. Loading the model is not in the time.
"""
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[1]))
PASS_TOKENS, COLUMNS, BITS, GROUP, SHARE = 2048, 128, 4, 128, 0.5
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.float32).eval()
base = model.model
dense = {name: value.clone() for name, value in model.state_dict().items()}
SITES = {"self_attn.q_proj": "qkv", "self_attn.k_proj": "qkv", "self_attn.v_proj": "qkv", "self_attn.o_proj": "o"}
SITES |= {"mlp.gate_proj": "up", "mlp.up_proj": "up", "mlp.down_proj": "down"}
print(torch.__version__, flush=True)


def factor(gram, tokens):
    h = gram * (2 / tokens)
    h.diagonal().add_(0.01 * h.diagonal().mean())
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)


def wanda(w, gram):
    score = w.abs() * gram.sqrt()
    drop = torch.sort(score, dim=-1, stable=True)[1][:, : int(w.shape[1] * SHARE)]
    w.scatter_(1, drop, 0)


def sparsegpt(w, u):
    for start in range(0, w.shape[1], COLUMNS):
        end = min(start + COLUMNS, w.shape[1])
        block, inner = w[:, start:end].clone(), u[start:end, start:end]
        errors = torch.zeros_like(block)
        score = block**2 / inner.diagonal() ** 2
        mask = score <= torch.sort(score.flatten())[0][int(score.numel() * SHARE)]
        for j in range(end - start):
            column = block[:, j]
            kept = column.masked_fill(mask[:, j], 0)
            error = (column - kept) / inner[j, j]
            block[:, j:] -= error[:, None] * inner[j, j:]
            block[:, j] = kept
            errors[:, j] = error
        w[:, start:end] = block
        w[:, end:] -= errors @ u[start:end, end:]


def gptq(w, u):
    for start in range(0, w.shape[1], COLUMNS):
        end = min(start + COLUMNS, w.shape[1])
        block, inner = w[:, start:end].clone(), u[start:end, start:end]
        errors = torch.zeros_like(block)
        for j in range(end - start):
            if (start + j) % GROUP == 0:
                most = w[:, start + j : start + j + GROUP].abs().amax(1)
                scale = torch.where(most == 0, torch.ones_like(most), 2 * most / (2**BITS - 1))
            column = block[:, j]
            code = torch.clamp(torch.round(column / scale) + 2 ** (BITS - 1), 0, 2**BITS - 1)
            kept = scale * (code - 2 ** (BITS - 1))
            error = (column - kept) / inner[j, j]
            block[:, j:] -= error[:, None] * inner[j, j:]
            block[:, j] = kept
            errors[:, j] = error
        w[:, start:end] = block
        w[:, end:] -= errors @ u[start:end, end:]


@torch.no_grad()
def compress(method, rows, length):
    count = PASS_TOKENS // length
    vocabulary = base.embed_tokens.num_embeddings
    ids = torch.tensor([[(r * 31 + i * 17 + 5) % vocabulary for i in range(length)] for r in range(rows)])
    streams = [base.embed_tokens(part) for part in ids.split(count)]
    rotary = base.rotary_emb(streams[0], torch.arange(length)[None])
    for layer in base.layers:
        linears = {name: layer.get_submodule(name) for name in SITES}
        sums = {}

        def collect(site):
            def hook(_, inputs):
                x = inputs[0].reshape(-1, inputs[0].shape[-1])
                found = x.square().sum(0) if method == "wanda" else x.T @ x
                sums[site] = sums[site] + found if site in sums else found

            return hook

        first = {site: name for name, site in reversed(SITES.items())}
        hooks = [linears[name].register_forward_pre_hook(collect(site)) for site, name in first.items()]
        for stream in streams:
            layer(stream, position_embeddings=rotary, attention_mask=None)
        for hook in hooks:
            hook.remove()
        factors = {} if method == "wanda" else {site: factor(gram, rows * length) for site, gram in sums.items()}
        for name, site in SITES.items():
            w = linears[name].weight.data
            if method == "wanda":
                wanda(w, sums[site])
            else:
                {"sparsegpt": sparsegpt, "gptq": gptq}[method](w, factors[site])
        if layer is not base.layers[-1]:
            for i, stream in enumerate(streams):
                out = layer(stream, position_embeddings=rotary, attention_mask=None)
                streams[i] = out[0] if isinstance(out, tuple) else out


for line in sys.stdin:
    method, rows, length = line.split()
    model.load_state_dict(dense)
    began = time.perf_counter()
    compress(method, int(rows), int(length))
    print(time.perf_counter() - began, flush=True)
