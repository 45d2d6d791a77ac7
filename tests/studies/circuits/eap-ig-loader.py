"""Opens a graph with EAP-IG's own `Graph.from_json` and prints what it holds, as JSON. Arguments: EAP-IG's `src` folder, the graph.

TransformerLens, einops and matplotlib, which the loader imports and never calls here, are stood in for where they are missing.
"""
import json
import sys
import types

import torch


def stand_in(name, **members):
    try:
        __import__(name)
    except ImportError:
        module = types.ModuleType(name)
        module.__path__ = []
        for member, value in members.items():
            setattr(module, member, value)
        sys.modules[name] = module


stand_in("transformer_lens", HookedTransformer=type("HookedTransformer", (), {}),
         HookedTransformerConfig=type("HookedTransformerConfig", (), {}))
stand_in("einops", einsum=lambda *args: torch.einsum(args[-1], *args[:-1]))
stand_in("matplotlib")
stand_in("matplotlib.cm")
# The package itself imports what needs the models; its graph alone is read.
package = types.ModuleType("eap")
package.__path__ = [f"{sys.argv[1]}/eap"]
sys.modules["eap"] = package
from eap.graph import Graph  # noqa: E402

graph = Graph.from_json(sys.argv[2])
print(json.dumps({
    "nodes": {name: bool(node.in_graph) for name, node in graph.nodes.items()},
    "edges": {name: {"score": float(edge.score), "in_graph": bool(edge.in_graph)} for name, edge in graph.edges.items()},
}))
