"""Opens compressed folders in transformers, reads lines "<folder>", answers with JSON: logits of two fixed rows, exact zeros of
linear layers. Packed integers are decoded by the compressed-tensors package where it is installed, else here, with NumPy alone."""
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

try:
    import compressed_tensors

    READER = f"compressed-tensors {compressed_tensors.__version__}"
except ImportError:
    READER = "numpy"
ROWS = [[(r * 31 + i * 17 + 5) % 500 for i in range(24)] for r in range(2)]
print(json.dumps({"torch": torch.__version__, "packed": READER}), flush=True)


def fields(words, bits, count):
    """Rows of `count` fields, lowest bits first."""
    raw = np.unpackbits(words.astype("<i4").view(np.uint8), axis=1, bitorder="little")[:, : count * bits]
    return raw.reshape(len(words), count, bits) @ (1 << np.arange(bits))


def dense(folder, config):
    """The state dict with packed matrices decoded."""
    stored = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        stored |= load_file(file)
    settings = config.quantization_config["config_groups"]["group_0"]["weights"]
    bits = settings["num_bits"]
    out = {name: value for name, value in stored.items() if ".weight_" not in name}
    for name in [name[: -len("_packed")] for name in stored if name.endswith(".weight_packed")]:
        rows, inputs = (int(size) for size in stored[f"{name}_shape"])
        codes = fields(stored[f"{name}_packed"].numpy(), bits, inputs)
        scales = stored[f"{name}_scale"].numpy()
        groups = scales.shape[1]
        zeros = np.full((rows, groups), 2 ** (bits - 1))
        if f"{name}_zero_point" in stored:
            zeros = fields(np.ascontiguousarray(stored[f"{name}_zero_point"].numpy().T), bits, rows).T
        group = np.arange(inputs) // (inputs // groups)
        out[name] = torch.tensor((codes - zeros[:, group]) * scales[:, group], dtype=torch.float32)
    return out


for line in sys.stdin:
    folder = line.strip()
    config = AutoConfig.from_pretrained(folder)
    if getattr(config, "quantization_config", None) and READER == "numpy":
        state = dense(folder, config)
        del config.quantization_config
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        missing, unknown = model.load_state_dict(state, strict=False)
        assert not unknown and set(missing) <= {"lm_head.weight"}, (missing, unknown)
        model.tie_weights()
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(ROWS)).logits
    zeros = {
        f"{name}.weight": int((module.weight == 0).sum())
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name and hasattr(module, "weight")
    }
    print(json.dumps({"logits": logits.flatten().tolist(), "zeros": zeros}), flush=True)
