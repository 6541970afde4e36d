"""The drop-in layers against the code whose signatures they have, on the CPU, where a checkout of it is named.

SDX_PEER_STYLEGAN3: https://github.com/NVlabs/stylegan3 (non-commercial licence).
SDX_PEER_STYLEGAN2_PYTORCH: https://github.com/rosinality/stylegan2-pytorch.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdx_kernels.compat import nvidia, rosinality

F4 = [1.0, 3.0, 3.0, 1.0]
SKEW = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4


def _checkout(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} names no checkout")
    folder = Path(os.environ[variable])
    assert folder.is_dir(), f"{variable} is no folder: {folder}"
    return folder


def _imported(folder: Path, *modules: str) -> Iterator[list[Any]]:
    """Give the peer's modules, and take them out of sys.modules afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield [importlib.import_module(module) for module in modules]
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


@pytest.fixture(scope="module")
def stylegan3() -> Iterator[types.SimpleNamespace]:
    folder = _checkout("SDX_PEER_STYLEGAN3")
    # What the peer imports and its ops do not need.
    stubs = {"requests": types.ModuleType("requests"), "pkg_resources": types.ModuleType("pkg_resources")}
    stubs["pkg_resources"].parse_version = (
        lambda text: tuple(  # type: ignore[attr-defined]
            int("".join(itertools.takewhile(str.isdigit, part)) or 0) for part in text.split(".")[:3]
        )
    )
    added = [name for name in stubs if name not in sys.modules]
    sys.modules.update({name: stubs[name] for name in added})
    names = ("bias_act", "conv2d_resample", "fma", "grid_sample_gradfix", "upfirdn2d")
    for modules in _imported(folder, *(f"torch_utils.ops.{name}" for name in names), "training.networks_stylegan2"):
        yield types.SimpleNamespace(**dict(zip((*names, "networks"), modules, strict=True)))
    for name in added:
        del sys.modules[name]


@pytest.fixture(scope="module")
def stylegan2_pytorch() -> Iterator[types.SimpleNamespace]:
    folder = _checkout("SDX_PEER_STYLEGAN2_PYTORCH")
    with pytest.MonkeyPatch.context() as patch:
        # Its modules compile CUDA code on import, which their functions on the CPU do not need.
        patch.setattr("torch.utils.cpp_extension.load", lambda *args, **kwargs: None)
        for act, resample in _imported(folder, "op.fused_act", "op.upfirdn2d"):
            yield types.SimpleNamespace(fused_leaky_relu=act.fused_leaky_relu, upfirdn2d=resample.upfirdn2d)


def _close(got: Tensor, expected: Tensor, atol: float = 2e-5) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("f", [F4, list(range(1, 10)), SKEW, None, 2.0], ids=["4", "9", "2x3", "none", "number"])
@pytest.mark.parametrize("how", [{}, {"normalize": False, "gain": 4}, {"flip_filter": True, "gain": 2}])
def test_setup_filter(stylegan3: types.SimpleNamespace, f: Any, how: dict[str, Any]) -> None:
    theirs = stylegan3.upfirdn2d.setup_filter(f.clone() if isinstance(f, Tensor) else f, **how)
    _close(nvidia.upfirdn2d.setup_filter(f, **how), theirs)


@pytest.mark.parametrize("name", ["filter2d", "upsample2d", "downsample2d"])
@pytest.mark.parametrize("padding", [0, [2, 1], [1, -1, 0, 3]])
@pytest.mark.parametrize("flip_filter", [False, True])
def test_resampling(stylegan3: types.SimpleNamespace, name: str, padding: Any, flip_filter: bool) -> None:
    x = torch.randn(2, 3, 8, 6)
    for f in (SKEW, torch.tensor(F4) / 8, torch.rand(9) - 0.3, None):
        for factor in [{}] if name == "filter2d" else [{}, {name[:-8]: [3, 2]}]:
            how = {"padding": padding, "flip_filter": flip_filter, "gain": 1.5, **factor}
            got = getattr(nvidia.upfirdn2d, name)(x, f, **how)
            _close(got, getattr(stylegan3.upfirdn2d, name)(x, f, impl="ref", **how))


def test_upfirdn2d(stylegan3: types.SimpleNamespace) -> None:
    x = torch.randn(2, 3, 8, 6)
    for up, down, padding in itertools.product((1, 2, [3, 1]), (1, 2, [1, 3]), (2, [0, 3], [-1, 4, 2, -2])):
        ours = nvidia.upfirdn2d.upfirdn2d(x, SKEW, up, down, padding, gain=2)
        _close(ours, stylegan3.upfirdn2d.upfirdn2d(x, SKEW, up, down, padding, gain=2, impl="ref"))


def test_bias_act(stylegan3: types.SimpleNamespace) -> None:
    x, b = torch.randn(4, 5, 3) * 3, torch.randn(5)
    assert set(nvidia.bias_act.activation_funcs) == set(stylegan3.bias_act.activation_funcs)
    for act, spec in stylegan3.bias_act.activation_funcs.items():
        ours = nvidia.bias_act.activation_funcs[act]
        assert ours.def_alpha == spec.def_alpha
        assert ours.def_gain == pytest.approx(spec.def_gain)
        for how in ({}, {"gain": 0.5, "clamp": 1.0}, {"alpha": 0.1}):
            theirs = stylegan3.bias_act.bias_act(x, b, act=act, impl="ref", **how)
            _close(nvidia.bias_act.bias_act(x, b, act=act, **how), theirs)


def test_conv2d_resample(stylegan3: types.SimpleNamespace) -> None:
    x, f = torch.randn(2, 4, 9, 8), nvidia.upfirdn2d.setup_filter(F4)
    choices = itertools.product((1, 2, 3), (1, 2), (1, 2), (False, True), (1, 3), (0, 1, [1, 2, 0, 1]), (f, SKEW))
    for up, down, groups, flip, k, padding, taps in choices:
        w = torch.randn(6, 4 // groups, k, k) / 3
        arguments = (taps, up, down, padding, groups, flip, not flip)
        _close(
            nvidia.conv2d_resample.conv2d_resample(x, w, *arguments),
            stylegan3.conv2d_resample.conv2d_resample(x, w, *arguments),
        )


def test_modulated_conv2d(stylegan3: types.SimpleNamespace) -> None:
    x, styles, f = torch.randn(2, 4, 8, 6), torch.randn(2, 4), nvidia.upfirdn2d.setup_filter(F4)
    for up, down, demodulate, flip, fused in itertools.product((1, 2), (1, 2), *([(False, True)] * 3)):
        weight, noise = torch.randn(5, 4, 3, 3) / 3, torch.randn(2, 1, 8 * up // down, 6 * up // down)
        how = {"up": up, "down": down, "padding": 1, "resample_filter": f, "demodulate": demodulate}
        how |= {"flip_weight": flip, "fused_modconv": fused}
        theirs = stylegan3.networks.modulated_conv2d(x, weight, styles, noise, **how)
        _close(nvidia.modulated_conv2d(x, weight, styles, noise, **how), theirs)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fused", [False, True])
def test_modulated_conv2d_under_autocast(stylegan3: types.SimpleNamespace, fused: bool, half: torch.dtype) -> None:
    x, weight, styles = torch.randn(2, 4, 8, 6), torch.randn(5, 4, 3, 3), torch.randn(2, 4)
    with torch.autocast("cpu", half):
        theirs = stylegan3.networks.modulated_conv2d(x, weight, styles, padding=1, fused_modconv=fused)
        ours = nvidia.modulated_conv2d(x, weight, styles, padding=1, fused_modconv=fused)
    assert ours.dtype == theirs.dtype == half
    _close(ours.float(), theirs.float(), atol=8 * torch.finfo(half).eps)  # they round before the sum too, and in it


def test_gradients_of_modulated_conv2d(stylegan3: types.SimpleNamespace) -> None:
    f = nvidia.upfirdn2d.setup_filter(F4)
    leaves = [torch.randn(*shape, requires_grad=True) for shape in ([2, 4, 4, 4], [5, 4, 3, 3], [2, 4])]

    def gradients(function: Any) -> list[Tensor]:
        y = function(*leaves, up=2, padding=1, resample_filter=f)
        first = torch.autograd.grad(y.square().mean(), leaves, create_graph=True)
        return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), leaves)]

    for ours, theirs in zip(
        gradients(nvidia.modulated_conv2d), gradients(stylegan3.networks.modulated_conv2d), strict=True
    ):
        _close(ours, theirs, atol=1e-4)


def test_fma_and_grid_sample(stylegan3: types.SimpleNamespace) -> None:
    a, b, c = torch.randn(2, 3, 4), torch.randn(3, 1), torch.randn(2, 1, 4)
    _close(nvidia.fma.fma(a, b, c), stylegan3.fma.fma(a, b, c))
    image, grid = torch.randn(2, 3, 6, 5), torch.rand(2, 4, 4, 2) * 3 - 1.5
    _close(nvidia.grid_sample_gradfix.grid_sample(image, grid), stylegan3.grid_sample_gradfix.grid_sample(image, grid))


def test_rosinality(stylegan2_pytorch: types.SimpleNamespace) -> None:
    x, bias = torch.randn(2, 3, 8, 6), torch.randn(3)
    _close(rosinality.fused_leaky_relu(x, bias), stylegan2_pytorch.fused_leaky_relu(x, bias))
    _close(rosinality.fused_leaky_relu(x), stylegan2_pytorch.fused_leaky_relu(x))
    _close(rosinality.fused_leaky_relu(x[..., 0, 0], bias), stylegan2_pytorch.fused_leaky_relu(x[..., 0, 0], bias))
    for up, down, pad in itertools.product((1, 2, (3, 1)), (1, 2, (1, 3)), ((2, 1), (-1, 4), (-1, 4, 2, -2))):
        _close(rosinality.upfirdn2d(x, SKEW, up, down, pad), stylegan2_pytorch.upfirdn2d(x, SKEW, up, down, pad))


def _penalised(logits_of: Callable[[Tensor], Tensor], leaves: Iterable[Tensor], picture: Tensor) -> list[Tensor]:
    """Return the logits and the gradients of R1 at a discriminator's parameters."""
    picture = picture.detach().requires_grad_()
    logits = logits_of(picture)
    (slope,) = torch.autograd.grad(logits.sum(), picture, create_graph=True)
    gradients = torch.autograd.grad(slope.square().sum(), list(leaves), allow_unused=True)
    return [logits, *(gradient for gradient in gradients if gradient is not None)]


def _all_close(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) > 40
    for got, expected in zip(ours, theirs, strict=True):
        _close(got, expected, atol=1e-5 * max(1.0, expected.abs().max().item()))


def test_the_networks_of_stylegan3_on_our_ops(
    stylegan3: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = stylegan3.networks
    how = {"c_dim": 0, "img_resolution": 32, "img_channels": 3, "channel_base": 512, "channel_max": 32}
    generator = networks.Generator(z_dim=32, w_dim=32, **how)
    discriminator = networks.Discriminator(**how)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    z = torch.randn(4, 32)

    def results() -> list[Tensor]:
        picture = generator(z, None, noise_mode="const")
        first = torch.autograd.grad(picture.square().mean(), list(generator.parameters()))
        penalty = _penalised(lambda image: discriminator(image, None), discriminator.parameters(), picture)
        return [picture, *first, *penalty]

    theirs = results()
    for name in ("bias_act", "conv2d_resample", "fma", "modulated_conv2d", "upfirdn2d"):
        monkeypatch.setattr(networks, name, getattr(nvidia, name))  # raises where the name is not there
    _all_close(results(), theirs)


def test_the_networks_of_rosinality_on_our_ops(
    stylegan2_pytorch: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _checkout("SDX_PEER_STYLEGAN2_PYTORCH")
    sides = []
    for ours in (False, True):
        if ours:
            monkeypatch.setitem(sys.modules, "op", rosinality)  # what changing the import does
        monkeypatch.delitem(sys.modules, "model", raising=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.utils.cpp_extension.load", lambda *args, **kwargs: None)
            for (model,) in _imported(folder, "model"):
                torch.manual_seed(1)
                generator, discriminator = model.Generator(32, 32, 2), model.Discriminator(32)
                picture, _ = generator([torch.randn(4, 32)], randomize_noise=False)
                leaves = [p for name, p in generator.named_parameters() if "noise" not in name]
                first = torch.autograd.grad(picture.square().mean(), leaves)
                sides.append([picture, *first, *_penalised(discriminator, discriminator.parameters(), picture)])
        assert (model.upfirdn2d is rosinality.upfirdn2d) == ours
    _all_close(sides[1], sides[0])
