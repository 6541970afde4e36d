"""Folding gives the same function, or does not fold."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sdx import networks
from sdx.networks.folding import fold_batchnorm, fold_input_scale


def _lived_in(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every BatchNorm statistics, scale and shift as if it had been trained; float64, evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            if module.affine:
                with torch.no_grad():
                    module.weight.uniform_(-1.5, 1.5, generator=generator)
                    module.bias.normal_(generator=generator)
    return network.double().eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in network.modules())


def _distance(a: nn.Module, b: nn.Module, face: Tensor) -> float:
    with torch.inference_mode():
        expected = a(face)
        return float((b(face) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("architecture", "size", "left"),
    [("small", 64, 0), ("iresnet-simface", 64, 5), ("mobilefacenet", 48, 0), ("tinyfar-c", 48, 0)],
)
def test_folded_network_is_the_same_function(architecture: str, size: int, left: int) -> None:
    torch.manual_seed(1)
    network = _lived_in(networks.build(architecture, 32, size))
    before = copy.deepcopy(network.state_dict())
    folded = fold_batchnorm(network)
    face = torch.rand(3, 3, size, size, dtype=torch.float64) * 2 - 1
    assert _norms(folded) == left
    assert _distance(network, folded, face) < 1e-10
    # and in the precision it is used in: against float64, folding may not cost more than rounding does
    assert _distance(network, _Rounded(folded), face) < 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class _Rounded(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).float()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.float()).double()


class _Hostile(nn.Module):
    """Each kind breaks one assumption of folding."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3, track_running_stats=kind != "no statistics")
        self.other = nn.Conv2d(3, 3, 3, padding=1)
        if kind == "shared weight":
            self.other.weight = self.conv.weight
        if kind == "standardised weight":
            self.conv = _Standardised(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "depends on data" and float(x.sum()) > 1e9:
            return x
        y = self.conv(x)
        if self.kind == "layer read twice":
            return self.norm(y) + y
        if self.kind == "layer called twice":
            return self.norm(self.conv(y))
        if self.kind == "norm called twice":
            return self.norm(self.other(self.norm(y)))
        if self.kind == "norm first":
            return self.conv(self.norm(x))
        return self.other(self.norm(y))


class _Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return nn.functional.conv2d(x, weight, self.bias, padding=1)


@pytest.mark.parametrize(
    "kind",
    [
        *("layer read twice", "layer called twice", "norm called twice", "norm first", "shared weight"),
        *("no statistics", "standardised weight", "depends on data"),
    ],
)
def test_what_cannot_be_folded_is_left_alone(kind: str) -> None:
    torch.manual_seed(2)
    network = _lived_in(_Hostile(kind))
    folded = fold_batchnorm(network)
    assert _norms(folded) == 1
    assert _distance(network, folded, torch.rand(2, 3, 8, 8, dtype=torch.float64)) < 1e-12


def test_the_hostile_network_folds_where_nothing_is_wrong_with_it() -> None:
    network = _lived_in(_Hostile("nothing"))
    folded = fold_batchnorm(network)
    assert _norms(folded) == 0
    assert _distance(network, folded, torch.rand(2, 3, 8, 8, dtype=torch.float64)) < 1e-12


@pytest.mark.parametrize("swap", [False, True])
def test_input_scale_folds_into_a_zero_padded_convolution(swap: bool) -> None:
    convolution = nn.Conv2d(3, 5, 3, padding=1).double()
    face = torch.rand(2, 3, 9, 9, dtype=torch.float64) * 2 - 1
    with torch.inference_mode():
        expected = convolution((face.flip(1) if swap else face) * 0.99609375)
        fold_input_scale(convolution, 0.99609375, swap_channels=swap)
        assert torch.allclose(convolution(face), expected, rtol=0, atol=1e-12)
