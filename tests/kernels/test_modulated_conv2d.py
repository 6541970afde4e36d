"""modulated_conv2d against weights built for each sample and looped over in float64, and against hostile input."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import tolerances
from sdx_kernels import KernelError, modulated_conv2d

BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
SKEW = torch.tensor([[1.0, -2.0, 0.5], [4.0, 0.25, -1.0]]) / 4
Array = NDArray[np.float64]


def _valid(image: Array, kernel: Array) -> Array:
    """Correlate [I, H, W] with [O, I, kh, kw] where the kernel fits, an output pixel at a time."""
    height, width = (image.shape[1 + k] - kernel.shape[2 + k] + 1 for k in (0, 1))
    result = np.zeros((kernel.shape[0], height, width))
    for i, j in itertools.product(range(height), range(width)):
        patch = image[:, i : i + kernel.shape[2], j : j + kernel.shape[3]]
        result[:, i, j] = (kernel * patch).sum((1, 2, 3))
    return result


def _filtered(image: Array, taps: Array) -> Array:
    flipped = taps[::-1, ::-1]
    return np.concatenate([_valid(plane[None], flipped[None, None]) for plane in image])


def _sample(x: Array, w: Array, taps: Array, up: int, down: int, padding: int) -> Array:
    """The docstring word by word: insert zeros, pad, filter, convolve, filter, thin out."""
    stuffed = np.zeros((x.shape[0], x.shape[1] * up, x.shape[2] * up))
    stuffed[:, ::up, ::up] = x
    sides = []
    for tap in taps.shape:
        before = after = padding
        if up > 1:
            before, after = before + math.floor((tap + up - 1) / 2), after + math.floor((tap - up) / 2)
        if down > 1:
            before, after = before + math.floor((tap - down + 1) / 2), after + math.floor((tap - down) / 2)
        sides.append((before, after))
    room = 8  # cropping is padding by less than nothing
    image = np.pad(stuffed, ((0, 0), *((before + room, after + room) for before, after in sides)))
    image = image[:, room:-room, room:-room]
    if up > 1:
        image = up**2 * _filtered(image, taps)
    image = _valid(image, w)
    if down > 1:
        image = _filtered(image, taps)[:, ::down, ::down]
    return image


def _oracle(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    demodulate: bool = True,
    up: int = 1,
    down: int = 1,
    padding: int = 0,
    filter: Tensor | None = None,
    flip_weight: bool = True,
) -> Tensor:
    taps = np.ones((1, 1)) if filter is None else filter.double().numpy()
    taps = np.outer(taps, taps) if taps.ndim == 1 else taps
    results = []
    for image, style in zip(x.detach().cpu().double().numpy(), styles.detach().cpu().double().numpy(), strict=True):
        w = weight.detach().cpu().double().numpy() * style[None, :, None, None]
        if demodulate:
            w = np.stack([kernel / math.sqrt(math.fsum((kernel**2).flatten()) + 1e-8) for kernel in w])
        results.append(_sample(image, w if flip_weight else w[:, :, ::-1, ::-1], taps, up, down, padding))
    return torch.from_numpy(np.stack(results))


def _arguments(n: int = 2, i: int = 3, o: int = 4, size: tuple[int, int] = (6, 5), k: tuple[int, int] = (3, 3)) -> Any:
    return torch.randn(n, i, *size), torch.randn(o, i, *k), torch.randn(n, i) + 1


CASES: list[dict[str, Any]] = [
    {"padding": 1},
    {"padding": 0, "flip_weight": False},
    {"padding": 1, "demodulate": False},
    {"padding": -1},
    {"padding": 1, "up": 2, "filter": BINOMIAL},
    {"padding": 1, "up": 2, "filter": BINOMIAL, "flip_weight": False},
    {"padding": 0, "up": 3, "filter": SKEW},
    {"padding": -1, "up": 2, "filter": SKEW},
    {"padding": 1, "up": 2},
    {"padding": 1, "down": 2, "filter": BINOMIAL},
    {"padding": 2, "down": 3, "filter": SKEW, "flip_weight": False},
    {"padding": 1, "down": 2},
    {"padding": 2, "up": 3, "down": 2, "filter": BINOMIAL},
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_weights_of_each_sample(
    case: dict[str, Any], dtype: torch.dtype, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    x, weight, styles = (t.to(device, dtype) for t in _arguments())
    weight = weight / 4 if not case.get("demodulate", True) else weight
    there = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in case.items()}
    got = modulated_conv2d(x, weight, styles, **there)
    assert got.dtype == dtype
    tolerances.check("modulated_conv2d", got.cpu(), _oracle(x, weight, styles, **case))


@pytest.mark.parametrize("k", [(1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("case", [{}, {"up": 2, "filter": BINOMIAL, "padding": 1}, {"down": 2, "filter": BINOMIAL}])
def test_kernels_of_other_sizes(case: dict[str, Any], k: tuple[int, int]) -> None:
    x, weight, styles = (t.double() for t in _arguments(k=k, size=(9, 7)))
    tolerances.check(
        "modulated_conv2d", modulated_conv2d(x, weight, styles, **case), _oracle(x, weight, styles, **case)
    )


@pytest.mark.parametrize(("factor", "size"), [({"up": 2}, (12, 8)), ({"down": 2}, (3, 2)), ({}, (6, 4))])
def test_same_padding_scales_the_size(factor: dict[str, int], size: tuple[int, int]) -> None:
    got = modulated_conv2d(*_arguments(size=(6, 4)), padding=1, filter=BINOMIAL, **factor)
    assert got.shape == (2, 4, *size)


@pytest.mark.parametrize("shape", [(12, 10), (1, 1, 12, 10), (2, 1, 12, 10)])
def test_epilogue(shape: tuple[int, ...]) -> None:
    x, weight, styles = (t.double() for t in _arguments())
    noise, bias = torch.randn(shape, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    got = modulated_conv2d(
        x, weight, styles, up=2, padding=1, filter=BINOMIAL, noise=noise, bias=bias, act="lrelu", gain=3.0, clamp=2.5
    )
    plain = _oracle(x, weight, styles, up=2, padding=1, filter=BINOMIAL).numpy()
    shifted = plain + noise.numpy() + bias.numpy()[None, :, None, None]
    expected = np.clip(3.0 * np.where(shifted > 0, shifted, 0.2 * shifted), -2.5, 2.5)
    assert 0.05 < (np.abs(expected) == 2.5).mean() < 0.95
    tolerances.check("modulated_conv2d", got, torch.from_numpy(expected))


def test_the_default_gain_is_the_activations() -> None:
    arguments = _arguments()
    plain = modulated_conv2d(*arguments)
    torch.testing.assert_close(modulated_conv2d(*arguments, act="relu"), plain.relu() * math.sqrt(2))


@pytest.mark.parametrize("roi", [(0, 0, 12, 10), (3, 2, 4, 9), (11, 9, 12, 10)])
def test_roi_is_a_crop_of_the_result(roi: tuple[int, int, int, int]) -> None:
    x, weight, styles = _arguments()
    options: dict[str, Any] = {
        "up": 2,
        "padding": 1,
        "filter": BINOMIAL,
        "noise": torch.randn(2, 1, 12, 10),
        "bias": torch.randn(4),
        "act": "lrelu",
    }
    top, left, bottom, right = roi
    got = modulated_conv2d(x, weight, styles, **options, roi=roi)
    assert got.is_contiguous()
    assert torch.equal(got, modulated_conv2d(x, weight, styles, **options)[:, :, top:bottom, left:right])


@pytest.mark.parametrize(
    "case",
    [
        {"padding": 1, "act": "swish"},
        {"padding": 1, "up": 2, "filter": BINOMIAL, "act": "tanh", "roi": (1, 0, 4, 5)},
        {"padding": 1, "down": 2, "filter": BINOMIAL, "demodulate": False},
    ],
)
def test_first_and_second_derivatives(case: dict[str, Any]) -> None:
    x, weight, styles = (t.double().requires_grad_() for t in _arguments(n=2, i=2, o=2, size=(3, 3)))
    shape = modulated_conv2d(x, weight, styles, **{k: v for k, v in case.items() if k != "roi"}).shape
    noise = torch.randn(1, 1, *shape[2:], dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)

    def op(x: Tensor, weight: Tensor, styles: Tensor, noise: Tensor, bias: Tensor) -> Tensor:
        return modulated_conv2d(x, weight, styles, noise=noise, bias=bias, **case)

    assert torch.autograd.gradcheck(op, (x, weight, styles, noise, bias))
    assert torch.autograd.gradgradcheck(op, (x, weight, styles, noise, bias))


class _Largest(TorchDispatchMode):
    """Remember the largest number of elements that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("factor", [{}, {"up": 2}, {"down": 2}])
def test_weights_of_a_sample_are_never_built(factor: dict[str, int]) -> None:
    x, weight, styles = (t.requires_grad_() for t in _arguments(n=16, i=32, o=32, size=(4, 4)))
    with _Largest() as largest:
        modulated_conv2d(x, weight, styles, padding=1, filter=BINOMIAL, **factor).sum().backward()
    assert weight.numel() <= largest.elements < 16 * weight.numel()
    assert styles.grad is not None


def test_styles_beyond_half_precision_do_not_overflow() -> None:
    x, weight, styles = (t.half() for t in _arguments())
    got = modulated_conv2d(100 * x, 100 * weight, 1000 * styles, padding=1)
    torch.testing.assert_close(got, 100 * modulated_conv2d(x, weight, styles, padding=1), rtol=2e-3, atol=0.1)


def test_zero_styles_give_zero_and_finite_gradients() -> None:
    x, weight, _ = _arguments()
    styles = torch.zeros(2, 3, requires_grad=True)
    got = modulated_conv2d(x, weight, styles)
    assert not bool(got.any())
    got.sum().backward()
    assert styles.grad is not None
    assert bool(torch.isfinite(styles.grad).all())


def test_a_sample_does_not_depend_on_its_batch() -> None:
    x, weight, styles = (t.double() for t in _arguments(n=5))
    together = modulated_conv2d(x, weight, styles, up=2, padding=1, filter=BINOMIAL)
    alone = [
        modulated_conv2d(x[n : n + 1], weight, styles[n : n + 1], up=2, padding=1, filter=BINOMIAL) for n in range(5)
    ]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [{}, {"up": 2}, {"down": 2}])
def test_channels_last_and_other_strides(factor: dict[str, int]) -> None:
    x, weight, styles = _arguments()
    plain = modulated_conv2d(x, weight, styles, padding=1, filter=BINOMIAL, **factor)
    assert plain.is_contiguous()
    last = x.contiguous(memory_format=torch.channels_last)
    got = modulated_conv2d(last, weight, styles, padding=1, filter=BINOMIAL, **factor)
    assert got.is_contiguous(memory_format=torch.channels_last)
    views = [torch.stack([t, t], -1)[..., 0] for t in (x, weight, styles)]
    strided = modulated_conv2d(*views, padding=1, filter=BINOMIAL, **factor)
    for other in (got, strided):
        torch.testing.assert_close(other, plain, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("factor", [{}, {"up": 2}, {"down": 2}])
def test_an_empty_batch_stays_empty(factor: dict[str, int]) -> None:
    x, weight, styles = (t.requires_grad_() for t in _arguments(n=0))
    got = modulated_conv2d(x, weight, styles, padding=1, filter=BINOMIAL, bias=torch.ones(4), **factor)
    assert got.shape[:2] == (0, 4)
    got.sum().backward()
    assert weight.grad is not None
    assert not bool(weight.grad.any())


X, W, S = torch.zeros(2, 3, 4, 4), torch.zeros(5, 3, 3, 3), torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "named"),
    [
        ((X[0], W, S), {}, "[3, 4, 4]"),
        ((X.long(), W, S), {}, "torch.int64"),
        ((X, W[0], S), {}, "[3, 3, 3]"),
        ((X, W[:, :2], S), {}, "[5, 2, 3, 3]"),
        ((X, W[:0], S), {}, "[0, 3, 3, 3]"),
        ((X, W, S[:1]), {}, "[1, 3]"),  # would broadcast
        ((X, W, S[0]), {}, "[3]"),
        ((X[:, :, :0], W, S), {}, "[2, 3, 0, 4]"),
        ((X, W, S), {"up": 0}, "up=0"),
        ((X, W, S), {"down": -1}, "down=-1"),
        ((X, W, S), {"padding": -1}, "got 2"),
        ((X, W, S), {"filter": torch.ones(9), "down": 2, "padding": -1}, "at least 11"),
        ((X, W, S), {"noise": torch.zeros(1, 2)}, "[1, 2]"),
        ((X, W, S), {"noise": torch.zeros(2, 5, 2, 2)}, "[2, 5, 2, 2]"),
        ((X, W, S), {"noise": torch.zeros(2, 2).long()}, "torch.int64"),
        ((X, W, S), {"bias": torch.zeros(3)}, "[3]"),
        ((X, W, S), {"act": "gelu"}, "'gelu'"),
        ((X, W, S), {"clamp": -1.0}, "-1.0"),
        ((X, W, S), {"roi": (0, 0, 3, 2)}, "(0, 0, 3, 2)"),
        ((X, W, S), {"roi": (1, 0, 1, 2)}, "(1, 0, 1, 2)"),
        ((X, W, S), {"roi": (-1, 0, 1, 2)}, "(-1, 0, 1, 2)"),
    ],
)
def test_what_it_cannot_take(arguments: Any, options: dict[str, Any], named: str) -> None:
    with pytest.raises(KernelError, match="expected") as error:
        modulated_conv2d(*arguments, **options)
    assert named in str(error.value)


@pytest.mark.parametrize(("place", "named"), [(0, "x"), (1, "weight"), (2, "styles")])
def test_what_is_no_tensor_is_named(place: int, named: str) -> None:
    arguments: list[Any] = [torch.zeros(2, 4, 6, 6), torch.zeros(5, 4, 3, 3), torch.zeros(2, 4)]
    for value in (None, [1.0]):
        arguments[place] = value
        with pytest.raises(KernelError, match=f"expected .*{named}.* tensor"):
            modulated_conv2d(*arguments)
