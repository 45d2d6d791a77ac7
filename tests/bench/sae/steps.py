"""Training steps of sparse autoencoders in eager PyTorch; reads `variant d P k B steps`, answers `seconds loss`."""
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
print(torch.__version__, flush=True)


class Step:
    def __init__(self, variant, d, width, k, batch):
        torch.manual_seed(0)
        self.variant, self.k, self.batch = variant, k, batch
        dec = torch.nn.functional.normalize(torch.randn(width, d), dim=1)
        self.dec = torch.nn.Parameter(dec.clone())
        self.enc = torch.nn.Parameter(0.3 * dec.t().contiguous())
        self.be = torch.nn.Parameter(torch.zeros(width))
        self.bd = torch.nn.Parameter(torch.zeros(d))
        self.theta = torch.nn.Parameter(torch.full((width,), 0.1))
        parameters = [self.dec, self.enc, self.be, self.bd] + ([self.theta] if variant == "jumprelu" else [])
        self.adam = torch.optim.Adam(parameters, lr=1e-4, fused=True)
        self.x = torch.randn(batch, d) / d**0.5

    def code(self, u):
        if self.variant == "relu":
            z = torch.relu(u)
            return z, 0.01 * z.sum(1).mean()
        if self.variant == "jumprelu":
            return Jump.apply(u, self.theta), 0.0
        score = u.abs() if self.variant.endswith("abstopk") else u
        if self.variant.startswith("batch"):
            cut = score.flatten().topk(self.k * self.batch, sorted=False).values.min()
            return torch.where(score >= cut, u, 0), 0.0
        index = score.topk(self.k, dim=1, sorted=False).indices
        values = u.gather(1, index)
        values = values if self.variant == "abstopk" else torch.relu(values)
        return torch.zeros_like(u).scatter(1, index, values), 0.0

    def run(self):
        u = (self.x - self.bd) @ self.enc + self.be
        z, penalty = self.code(u)
        error = z @ self.dec + self.bd - self.x
        loss = error.pow(2).sum(1).mean()
        self.adam.zero_grad(set_to_none=True)
        (loss + penalty).backward()
        with torch.no_grad():
            grad, dec = self.dec.grad, self.dec
            grad -= (grad * dec).sum(1, keepdim=True) * dec
            self.adam.step()
            dec /= dec.norm(dim=1, keepdim=True)
        return loss


class Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, theta):
        ctx.save_for_backward(u, theta)
        return u * (u > theta)

    @staticmethod
    def backward(ctx, dy):
        u, theta = ctx.saved_tensors
        near = ((u - theta).abs() < 0.05).to(u.dtype)
        return dy * (u > theta), -(theta / 0.1) * (near * dy).sum(0)


held, key = None, None
for line in sys.stdin:
    variant, *sizes, steps = line.split()
    if (variant, sizes) != key:
        held = None
        held, key = Step(variant, *map(int, sizes)), (variant, sizes)
        held.run()
    began = time.perf_counter()
    for _ in range(int(steps)):
        loss = held.run()
    value = loss.item()
    print(time.perf_counter() - began, value, flush=True)
