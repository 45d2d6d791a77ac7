"""Block-sparse inference in PyTorch (BSR) for side-by-side timing. Reads lines "<rows> <tile> <zeros>", answers with seconds."""
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
WIDTH = 1024
print(torch.__version__, flush=True)
known = {}


def matrix(tile, zeros):
    if (tile, zeros) not in known:
        side = WIDTH // tile
        live = torch.ones(side * side)
        live[torch.randperm(side * side)[: round(zeros * side * side)]] = 0
        dense = torch.randn(WIDTH, WIDTH) * live.view(side, side).repeat_interleave(tile, 0).repeat_interleave(tile, 1)
        known[tile, zeros] = dense.to_sparse_bsr((tile, tile))
    return known[tile, zeros]


for line in sys.stdin:
    rows, tile, zeros = line.split()
    w, x = matrix(int(tile), float(zeros)), torch.randn(WIDTH, int(rows))
    began = time.perf_counter()
    y = w @ x
    print(time.perf_counter() - began, flush=True)
