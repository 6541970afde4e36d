"""A convolution's bias and what follows it as one step: the same function, or left alone."""

import copy
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sdx import networks, precision
from sdx.networks import fusing, iresnet
from sdx.networks.folding import fold_batchnorm
from sdx.networks.fusing import fuse_endings
from sdx.precision import Policy
from sdx_kernels.channelwise import channelwise


def _frozen(network: nn.Module) -> nn.Module:
    """Give every BatchNorm and PReLU values as if it had been trained, and fold; float64, evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
                module.weight.uniform_(-1.5, 1.5, generator=generator)
                module.bias.normal_(generator=generator)
            elif isinstance(module, nn.PReLU):
                module.weight.normal_(generator=generator)
    return fold_batchnorm(network.double().requires_grad_(False))


def _face(size: int, channels: int = 3) -> Tensor:
    face = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return face.contiguous(memory_format=torch.channels_last)


def _distance(a: nn.Module, b: nn.Module, face: Tensor) -> float:
    with torch.inference_mode():
        expected = a(face.to(next(a.parameters()).dtype)).double()
        return float((b(face.to(next(b.parameters()).dtype)) - expected).abs().max() / expected.abs().max())


def _steps(network: nn.Module) -> Counter[str]:
    """Return how often each fused step stands in a network, and each kind of layer that is left."""
    if not isinstance(network, fx.GraphModule):
        return Counter()
    names = {channelwise: "activated", fusing._summed: "summed"}
    steps = Counter(names[node.target] for node in network.graph.nodes if node.target in names)
    layers = Counter(type(m).__name__ for m in network.modules() if isinstance(m, nn.PReLU))
    biases = Counter("bias" for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)
    return steps + layers + biases


@pytest.mark.parametrize(
    ("make", "size", "steps"),
    [
        (lambda: iresnet.IResNet((2, 1), (8, 8, 12), 16, 16), 16, {"activated": 4, "summed": 3}),
        (lambda: iresnet.simface(16, 32), 32, {"activated": 5, "summed": 4}),
        # Neither an activation nor a sum follows the last layer of a stage, nor of the network.
        (lambda: networks.build("mobilefacenet", 16, 48), 48, {"activated": 33, "summed": 12, "bias": 4}),
        (lambda: networks.build("tinyfar-c", 16, 48), 48, {"summed": 8, "bias": 68}),
    ],
    ids=["narrow iresnet", "iresnet-simface", "mobilefacenet", "tinyfar-c"],
)
def test_the_fused_network_is_the_same_function(
    make: Callable[[], nn.Module], size: int, steps: dict[str, int]
) -> None:
    torch.manual_seed(0)
    network = _frozen(make())
    fused = fuse_endings(copy.deepcopy(network))
    assert _steps(fused) == Counter(steps)
    assert _distance(network, fused, _face(size)) < 1e-12
    assert _distance(network, copy.deepcopy(fused).float(), _face(size)) < 1e-6


def test_in_half_formats_biases_and_slopes_stay_in_float32() -> None:
    torch.manual_seed(0)
    network = _frozen(iresnet.simface(16, 32)).float()
    policy = Policy("bf16", "test")
    plain = precision.convert(copy.deepcopy(network), policy)
    half = precision.convert(fuse_endings(copy.deepcopy(network)), policy)
    assert {m.weight.dtype for m in half.modules() if isinstance(m, nn.Conv2d)} == {torch.bfloat16}
    assert {b.dtype for name, b in half.named_buffers() if name.startswith("ending")} == {torch.float32}
    face = _face(32).float()
    with torch.inference_mode():
        exact, fused, unfused = (n(face) for n in (network, half, plain))
    assert fused.dtype == torch.float32
    assert float((fused - exact).norm()) < float((unfused - exact).norm())


class _Hostile(nn.Module):
    """Each kind breaks one assumption of fusing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=kind != "no bias")
        self.other = nn.Conv2d(3, 1 if kind == "other channels" else 3, 3, padding=1)
        self.prelu = nn.PReLU(1 if kind == "one slope" else 3)
        nn.init.normal_(self.prelu.weight)
        if kind == "subclass":
            self.conv = _Scaled(3, 3, 3, padding=1)
        if kind == "hook":
            self.register_forward_hook(lambda _module, _inputs, output: 2 * output)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "depends on data" and float(x.sum()) > 1e9:
            return x
        y: Tensor = self.conv(x)
        match self.kind:
            case "read twice":
                return self.prelu(y) * y
            case "called twice":
                return self.prelu(self.conv(y))
            case "with itself":
                return y + y
            case "a number":
                return y + 1.0
            case "scaled sum":
                return torch.add(y, x, alpha=2)
            case "bias read":
                return self.prelu(y) * self.conv.bias.sum()
            case "broadcast":
                return y.mean((2, 3), keepdim=True) + self.other(x)
            case "broadcasts":
                return x.mean((2, 3), keepdim=True) + y
            case "wider":
                return x.mean((2, 3), keepdim=True).double() + self.other(x[:, :, :1, :1]) + y
            case "other channels":
                return y + self.other(x)
            case "two convolutions":
                return torch.add(self.other(x), y)
            case "a size":
                return y + x.size(0)
        return self.prelu(y)


class _Scaled(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "kind",
    [
        *("read twice", "called twice", "with itself", "a number", "scaled sum", "bias read"),
        *("no bias", "subclass", "hook", "depends on data"),
    ],
)
def test_what_cannot_be_fused_is_left_alone(kind: str) -> None:
    torch.manual_seed(2)
    network = _Hostile(kind).double().eval().requires_grad_(False)
    before = copy.deepcopy(network)
    assert fuse_endings(network) is network
    assert _distance(before, network, _face(8)) == 0


@pytest.mark.parametrize(
    "kind",
    ["nothing", "one slope", "broadcast", "broadcasts", "wider", "other channels", "two convolutions", "a size"],
)
def test_what_is_unusual_is_fused_rightly(kind: str) -> None:
    torch.manual_seed(2)
    network = _Hostile(kind).double().eval().requires_grad_(False)
    fused = fuse_endings(copy.deepcopy(network))
    assert isinstance(fused, fx.GraphModule)
    assert _distance(network, fused, _face(8)) < 1e-12


def test_two_summands_leave_no_bias() -> None:
    fused = fuse_endings(_Hostile("two convolutions").double().eval())
    assert _steps(fused) == Counter({"summed": 1})
    assert _steps(fuse_endings(_Hostile("other channels").double().eval())) == Counter({"summed": 1, "bias": 1})


def test_a_network_without_such_endings_is_unchanged() -> None:
    network = _frozen(networks.build("small", 16, 48))
    before = copy.deepcopy(network.state_dict())
    assert fuse_endings(network) is network
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
