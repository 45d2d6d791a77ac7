"""The audit's bootstrap as one would write it with numpy: every draw resamples, sorts and measures anew. Reads n and draws
from the command line, prints JSON with the CPU seconds it took."""
import json
import sys
import time

import numpy as np

n, draws = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
group = rng.random(n) < 0.4
score = np.clip(rng.normal(0.45 + 0.1 * group, 0.2), 0, 1)
label = (rng.random(n) < score).astype(float)


def auc(p, y):
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    ranks = np.empty(len(p))
    ranks[order] = (first + last + 1) / 2
    positives = y.sum()
    return (ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives))


def metrics(pa, ya, pb, yb):
    a, b = np.sort(pa), np.sort(pb)
    both = np.sort(np.concatenate([a, b]))
    gap = np.abs(np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b))
    out = [gap.max(), (gap[:-1] * np.diff(both)).sum()]
    for p, y in ((pa, ya), (pb, yb)):
        out += [p.mean(), p.var(ddof=1), ((p - y) ** 2).mean(), np.abs(p - y).mean(), auc(p, y)]
        chosen = p >= 0.5
        out += [chosen.mean(), (chosen == (y == 1)).mean(), chosen[y == 1].mean(), chosen[y == 0].mean()]
    return out


pa, ya, pb, yb = score[~group], label[~group], score[group], label[group]
began = time.process_time()
samples = []
for _ in range(draws):
    i, j = rng.integers(0, len(pa), len(pa)), rng.integers(0, len(pb), len(pb))
    samples.append(metrics(pa[i], ya[i], pb[j], yb[j]))
low, high = np.percentile(np.array(samples), [2.5, 97.5], axis=0)
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "numpy": np.__version__, "ks": [float(low[0]), float(high[0])]}))
