"""Writes weights.json and weights.pth: features of an image by torchvision's ResNets, and a file of `torch.save`.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 torchvision==0.29.2 safetensors==0.8.0 numpy
    /tmp/golden/bin/python tests/golden/weights.py

    worker export MODEL --out EXPORTED.safetensors --json > exported.json
    /tmp/golden/bin/python tests/golden/weights.py check resnet18 EXPORTED.safetensors exported.json

The second form loads a file that `worker export` wrote into torchvision's model, prints tensors that are missing,
unexpected or of another shape, and compares features of a fixed picture with those that `worker export` printed. The
tests in worker/trainer/src/weights/golden.rs read the files that the first form writes. Weights are not in weights.json: both
sides compute them by the same formula.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
import torchvision

HERE = Path(__file__).parent
SIZE = 64
# Only some features are stored.
STRIDE = {"resnet18": 1, "resnet50": 8}


def noise(count, stream):
    """Numbers in [-1, 1): a hash of the position and the stream, in 32 bits."""
    h = (numpy.arange(count, dtype=numpy.uint64) + 1) * 2654435761 + stream * 40503
    h &= 0xFFFFFFFF
    h ^= h >> 15
    h = h * 2246822519 & 0xFFFFFFFF
    h ^= h >> 13
    return h / 2**31 - 1


def values(name, shape, stream):
    x = noise(int(numpy.prod(shape)), stream)
    if len(shape) == 4:
        # Uniform, with the variance of Kaiming's initial weights by fan-in.
        x = x * (6 / (shape[1] * shape[2] * shape[3])) ** 0.5
    elif name.endswith("running_var"):
        x = 1 + 0.5 * x
    elif name.endswith("weight"):
        x = 1 + 0.2 * x
    else:
        x = 0.1 * x
    return torch.tensor(x.astype(numpy.float32)).reshape(shape)


def filled(model):
    """The model with its tensors by the formula; the stream is a tensor's place among those that are read."""
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("fc.")}
    floats = [name for name in state if not name.endswith("num_batches_tracked")]
    state.update({name: values(name, tuple(state[name].shape), i) for i, name in enumerate(floats)})
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (set(missing), unexpected) == ({"fc.weight", "fc.bias"}, []), (missing, unexpected)
    return [[name, list(tensor.shape)] for name, tensor in state.items()]


def features(model):
    model.fc = torch.nn.Identity()
    image = torch.tensor(noise(2 * 3 * SIZE * SIZE, 1000).astype(numpy.float32)).reshape(2, 3, SIZE, SIZE)
    with torch.no_grad():
        return model.eval()(image)


def network(name):
    model = getattr(torchvision.models, name)(weights=None)
    tensors = filled(model)
    kept = features(model).flatten()[:: STRIDE[name]]
    return {"tensors": tensors, "features": [float(f"{value:.7g}") for value in kept.tolist()]}


def small():
    """A checkpoint of a training script: the state under a key, of a `small-cnn` of width 4 with two blocks."""
    convolutions = [
        ("stem", 4, 3, 3), ("blocks.0.a", 4, 4, 3), ("blocks.0.b", 4, 4, 3),
        ("blocks.1.a", 8, 4, 3), ("blocks.1.b", 8, 8, 3), ("blocks.1.shortcut", 8, 4, 1),
    ]  # fmt: skip
    shapes = {}
    for name, outputs, inputs, k in convolutions:
        shapes[f"{name}.conv.weight"] = (outputs, inputs, k, k)
        shapes.update({f"{name}.bn.{part}": (outputs,) for part in ["weight", "bias", "running_mean", "running_var"]})
    state = {name: values(name, shape, i) for i, (name, shape) in enumerate(shapes.items())}
    state["stem.bn.num_batches_tracked"] = torch.tensor(7)
    state["fc.weight"] = torch.zeros(2, 8)
    return {"state_dict": state}


def check(name, path, exported):
    from safetensors.torch import load_file

    model = getattr(torchvision.models, name)(weights=None)
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    own = features(model)[0]
    theirs = torch.tensor(json.loads(Path(exported).read_text())["first_features"])
    difference = ((own[: len(theirs)] - theirs).abs().max() / own.abs().max()).item()
    print(f"missing: {missing}; unexpected: {unexpected}; {len(theirs)} features differ by {difference:.1e} of the largest")
    fits = set(missing) == {"fc.weight", "fc.bias"} and not unexpected and difference < 1e-5
    sys.exit(0 if fits else 1)


if sys.argv[1:2] == ["check"]:
    check(*sys.argv[2:])
golden = {"torch": torch.__version__, "torchvision": torchvision.__version__}
golden.update({name: network(name) for name in STRIDE})
(HERE / "weights.json").write_text(json.dumps(golden) + "\n")
torch.save(small(), HERE / "weights.pth")
