"""The steps of models.ts in PyTorch, for side-by-side timing. Reads lines "<model> <steps>", answers with seconds."""
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)


class Sae(nn.Module):
    def __init__(self, batch, width, latents, k):
        super().__init__()
        self.k, self.x = k, torch.randn(batch, width)
        self.w_enc = nn.Parameter(torch.randn(width, latents) / width**0.5)
        self.w_dec = nn.Parameter(F.normalize(torch.randn(latents, width)))
        self.b_enc = nn.Parameter(torch.zeros(latents))
        self.b_dec = nn.Parameter(torch.zeros(width))

    def forward(self):
        u = (self.x - self.b_dec) @ self.w_enc + self.b_enc
        values, indices = u.abs().topk(self.k, dim=-1)
        z = torch.zeros_like(u).scatter(-1, indices, u.gather(-1, indices))
        return (z @ self.w_dec + self.b_dec - self.x).square().sum(-1).mean()


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        h = self.norm1(x)
        q, k, v = (f(h).view(batch, length, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, layers, width, heads, batch, length, vocabulary):
        super().__init__()
        self.ids = torch.randint(vocabulary, (batch, length))
        self.targets = torch.randint(vocabulary, (batch * length,))
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Parameter(torch.randn(length, width) / width**0.5)
        self.blocks = nn.Sequential(*(Block(width, heads, True) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self):
        h = self.norm(self.blocks(self.token(self.ids) + self.position))
        return F.cross_entropy(self.head(h).flatten(0, 1), self.targets)


class Convolutional(nn.Module):
    def __init__(self, batch):
        super().__init__()
        self.x, self.y = torch.randn(batch, 2, 256), torch.randint(2, (batch,))
        self.conv1 = nn.Conv1d(2, 32, 7, stride=2, padding=3, bias=False)
        self.conv2 = nn.Conv1d(32, 64, 5, stride=2, padding=2, bias=False)
        self.blocks = nn.Sequential(*(Block(64, 4, False) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 2)

    def forward(self):
        h = F.gelu(self.conv2(F.gelu(self.conv1(self.x))))
        return F.cross_entropy(self.head(self.norm(self.blocks(h.transpose(1, 2))).mean(1)), self.y)


MAKE = {
    "sae_small": lambda: Sae(1024, 256, 2048, 32),
    "sae_large": lambda: Sae(2048, 512, 4096, 32),
    "transformer": lambda: Transformer(4, 256, 8, 16, 128, 4096),
    "convolutional": lambda: Convolutional(128),
}
made = {}
print(torch.__version__, flush=True)
for line in sys.stdin:
    name, steps = line.split()
    if name not in made:
        model = MAKE[name]()
        made[name] = model, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    model, optimiser = made[name]
    began = time.perf_counter()
    for _ in range(int(steps)):
        optimiser.zero_grad(set_to_none=True)
        model().backward()
        optimiser.step()
    print(time.perf_counter() - began, flush=True)
