"""Tensors of more than 2^31 elements: the last program of each kernel, on memory of which only touched pages exist."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from sdx_kernels import NoiseKey, bias_act, crop_resize, embedding_loss_gradient, launch, upfirdn2d
from sdx_kernels.channelwise import channelwise
from sdx_kernels.crop_resize import autograd as crops
from sdx_kernels.embedding_loss import autograd as losses
from sdx_kernels.modulated_conv2d import fused
from sdx_kernels.noise import drawn
from sdx_kernels.prototype_loss import autograd as banks

pytestmark = pytest.mark.usefixtures("_lazy_memory")
_NO_RESERVE = 0x4000  # of Linux; Python 3.11 has no name for it
IMAGES = 2**21 + 3  # of 32 by 32 pixels: 2^31 elements and a few
_plain_launch = launch.launch


@pytest.fixture
def _lazy_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give out memory that is not filled, and keep Triton's interpreter from copying it."""
    if torch.cuda.is_available():
        pytest.skip("Triton does not interpret")
    from triton.runtime import interpreter

    monkeypatch.setattr(torch, "empty", _lazy)
    monkeypatch.setattr(torch, "empty_like", lambda x, **_: _lazy(tuple(x.shape), dtype=x.dtype))
    executor = interpreter.GridExecutor
    monkeypatch.setattr(executor, "_init_args_hst", lambda self, args, kwargs: (args, kwargs))
    monkeypatch.setattr(executor, "_restore_args_dev", lambda self, *_: None)


def _lazy(shape: Any, dtype: torch.dtype = torch.float32, **_: Any) -> Tensor:
    count = max(torch.Size(shape).numel(), 1)
    memory = mmap.mmap(-1, count * dtype.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)
    return torch.frombuffer(memory, dtype=dtype, count=count)[: torch.Size(shape).numel()].view(shape)


@contextmanager
def _last_program() -> Iterator[None]:
    """Run the last program of every launch alone."""
    from triton.runtime import interpreter

    def launched(kernel: Any, grid: tuple[int, ...], *arguments: Any, **options: Any) -> None:
        last = tuple(length - 1 for length in (*grid, 1, 1)[:3])

        def chosen(self: Any, *_: int) -> None:
            self.grid_idx = last

        with mock.patch.object(interpreter.InterpreterBuilder, "set_grid_idx", chosen):
            _plain_launch(kernel, (1,), *arguments, **options)

    with mock.patch.object(launch, "launch", launched):
        yield


def _images(side: int = 32) -> Tensor:
    x = _lazy((IMAGES, 1, side, side), torch.float16)
    x[-1] = torch.randn(1, side, side)
    return x


def _epilogue(x: Tensor, impl: str) -> Tensor:
    if impl == "reference":
        return bias_act(x * 0.5, act="swish")
    rest = [fused.NO_NOISE, None, "swish", 0.2, 2**0.5, None]
    dcoef = _lazy((len(x), 1))
    dcoef[-1] = 0.5
    y: Tensor = fused.epilogue(x, None, [0, 0], [32, 32], dcoef, None, *rest, None, None, None, None, None, None)[0]
    return y


CALLS: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "bias_act": lambda x, impl: bias_act(x, act="swish", impl=impl),
    "channelwise": lambda x, impl: channelwise(x, torch.ones(1), slope=torch.ones(1) / 4, added=x, impl=impl),
    "upfirdn2d": lambda x, impl: upfirdn2d(x, torch.ones(2) / 2, padding=(1, 0, 1, 0), impl=impl),
    "upfirdn2d strip": lambda x, impl: upfirdn2d(x, torch.ones(4) / 4, padding=(2, 1, 2, 1), impl=impl),
    "crop_resize": lambda x, impl: crop_resize(x, 33, impl=impl),
    "epilogue": _epilogue,
}


@pytest.mark.parametrize("op", CALLS)
def test_addresses_beyond_31_bits(op: str) -> None:
    x = _images()
    assert x.numel() > 2**31
    with _last_program():
        y = CALLS[op](x, "triton")
    expected = CALLS[op](x[-1:].float(), "reference")
    got = y[-1:].float()
    # The last program may be less than the last image: what it did not reach is nought.
    reached = got != 0
    assert reached.flatten()[-1]
    assert reached.flatten()[-20:].all()
    assert ((got - expected) * reached).abs().max() < 4e-3


def test_rows_of_a_plane_beyond_31_bits() -> None:
    rows, columns = 2**16 + 72, 2**15  # the last strip begins beyond 2^31
    x = _lazy((1, 1, rows, columns), torch.float16)
    x[..., -40:, -300:] = torch.randn(40, 300)
    filter = torch.ones(4) / 4
    with _last_program():
        y = upfirdn2d(x, filter, padding=(2, 1, 2, 1), impl="triton")
    expected = upfirdn2d(x[..., -40:, -300:].float(), filter, padding=(2, 1, 2, 1), impl="reference")
    assert (y[..., -4:, -200:].float() - expected[..., -4:, -200:]).abs().max() < 4e-3


@pytest.mark.parametrize("both_passes", [False, True])
def test_losses_beyond_31_bits(both_passes: bool) -> None:
    rows, d = 2**22 + 1, 512  # one row is the last program's, however many a program takes
    student, teacher = (_lazy((rows, d), torch.float16) for _ in range(2))
    student[-4:], teacher[-4:] = torch.randn(4, d), torch.randn(4, d)
    with _last_program():
        if both_passes:
            _, _, norms = losses.forward(student, teacher, 1.0, 0.5)
            got, _ = losses.grad(torch.tensor(float(rows)), student, teacher, norms, 1.0, 0.5, True, False)
        else:
            _, _, got = embedding_loss_gradient(student, teacher, cosine=0.5, scale=float(rows), impl="triton")
    expected = embedding_loss_gradient(student[-4:].float(), teacher[-4:].float(), cosine=0.5, scale=4.0)[2]
    assert bool((got[-1] != 0).any())
    torch.testing.assert_close(got[-1].float(), expected[-1], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("beyond", ["bank", "batch"])
def test_the_gradient_at_a_bank_beyond_31_bits(beyond: str) -> None:
    d, factor = 64, 4.0
    rows, count = (5, 2**25 + 65) if beyond == "bank" else (65, 5)
    if beyond == "bank":
        student, bank = torch.randn(rows, d).half() / 8, _lazy((count, d), torch.float16)
    else:  # the batch is split, and the last split has its last row
        student, bank = _lazy((rows, 2**26), torch.float16)[:, -d:], torch.randn(count, d).half() / 8
    assert max((x.shape[0] - 1) * x.stride(0) for x in (student, bank)) > 2**31
    last_rows, last = student[-5:], bank[-5:]
    last_rows.copy_(torch.randn(5, d) / 8)
    last.copy_(torch.randn(5, d) / 8)
    labels = torch.zeros(rows, dtype=torch.int64)
    labels[-1] = count - 1
    normalisers = torch.full((1, rows), 3.0)
    with _last_program():
        got = banks.bank_grad(torch.tensor(float(rows)), student, bank, None, None, labels, normalisers, factor)
    # The normalisers are given, so neither what other programs leave nor the rest of the bank counts.
    p = (factor * last[-1].float() @ last_rows.float().T - 3.0).exp()
    p[-1] -= 1.0
    own = last_rows if beyond == "bank" else student[-1:]
    expected = factor * p[-len(own) :] @ own.float()
    assert bool((got[-1] != 0).any())
    torch.testing.assert_close(got[-1].float(), expected, rtol=2e-3, atol=2e-3)


def test_the_transpose_of_a_crop_beyond_31_bits() -> None:
    image = _images()
    upstream = _lazy((IMAGES * 33**2,), torch.float16)
    upstream[-(33**2) :] = torch.randn(33**2)
    whole = [0.0, 0.0, 1.0, 1.0]
    with _last_program():
        got = crops.grad(upstream, image, None, [33], whole, False, None)[-1:].float()
    last = image[-1:].float().requires_grad_()
    face = crop_resize(last, 33, impl="reference")
    (expected,) = torch.autograd.grad(face, last, upstream[-(33**2) :].float().view_as(face))
    reached = got != 0
    assert reached.flatten()[-20:].all()
    assert ((got - expected) * reached).abs().max() < 4e-3


def test_a_convolution_beyond_31_bits() -> None:
    x = _images(32)
    weight = torch.randn(1, 1, 3, 3).half()
    none = None, None, fused.NO_NOISE, None, "linear", 0.2, 1.0, None, None
    with _last_program():
        y = fused.convolution(x, weight, 1, 1, *none)
    expected = torch.nn.functional.conv2d(x[-1:].float(), weight.float(), padding=1)
    got = y[-1:].float()
    reached = got != 0
    assert reached.flatten()[-20:].all()
    assert ((got - expected) * reached).abs().max() < 2e-2


@pytest.mark.parametrize(
    "shape", [(IMAGES, 2, 32, 16), (1, 2, 2**15 + 72, 2**15)], ids=["offset of an image", "offset of a row"]
)
def test_a_strip_after_a_convolution_beyond_31_bits(shape: tuple[int, int, int, int]) -> None:
    n, channels, height, width = shape
    y = _lazy((n, height, width, channels), torch.float16).permute(0, 3, 1, 2)
    assert y.numel() > 2**31
    taps = torch.tensor([0.5, 1.0, -0.25, 0.75, 1.0, 0.25, 0.5, -0.5])
    y[-1, :, -32:, -16:] = torch.randn(channels, 32, 16)
    none = None, None, fused.NO_NOISE, None, "linear", 0.2, 1.0, None, None, None, None, None, None, None
    with _last_program():
        result = fused.epilogue(y, taps, [1, 1], [height, width], *none)[0]
    got = result[-1:, :, -32:, -16:].float()
    part = torch.nn.functional.pad(y[-1:, :, -32:, -16:].float(), (1, 2, 1, 2))
    square = torch.outer(taps[:4], taps[4:]).expand(channels, 1, 4, 4)
    expected = torch.nn.functional.conv2d(part, square, groups=channels)
    assert bool((got[..., -1, -8:] != 0).all())
    # What the last program did not reach is nought, and the part's own first rows and columns lack their neighbours.
    assert (((got - expected) * (got != 0))[..., 1:, 1:]).abs().max() < 1e-2


@pytest.mark.parametrize("pitch", [None, 40])
def test_noise_beyond_31_bits(pitch: int | None) -> None:
    index = _lazy((2**21 + 2**17,), torch.int64)
    index[-1] = 2**40 + 5
    key = NoiseKey(7, index, 3, offset=2**33 + 1, pitch=pitch)
    with _last_program():
        got = drawn(key, 31, 32)
    assert got.numel() > 2**31
    expected = NoiseKey(7, index[-1:], 3, offset=2**33 + 1, pitch=pitch).image(31, 32)
    reached = slice(None) if pitch is None else slice(-1, None)  # each row is a program's
    assert torch.equal(got[-1:, :, reached], expected[:, :, reached])


def test_pixels_of_a_plane_beyond_31_bits() -> None:
    rows, columns = 2**16 + 72, 2**15
    y = _lazy((1, 1, rows, columns), torch.float16)
    y[..., -1, -20:] = torch.randn(20)
    rest = None, None, fused.NO_NOISE, None, "linear", 0.2, 1.0, None, None, None, None, None, None, None
    with _last_program():
        got = fused.epilogue(y, None, [0, 0], [rows, columns], *rest)[0]
    assert torch.equal(got[..., -1, -20:], y[..., -1, -20:])


def test_a_convolution_of_a_plane_beyond_31_bits() -> None:
    rows, columns = 2**16 + 72, 2**15
    x = _lazy((1, 1, rows, columns), torch.float16)
    x[..., -3:, -40:] = torch.randn(3, 40)
    weight = torch.randn(1, 1, 3, 3).half()
    none = None, None, fused.NO_NOISE, None, "linear", 0.2, 1.0, None, None
    with _last_program():
        y = fused.convolution(x, weight, 1, 1, *none)
    # Below the last row are zeros as below the image, and above the first of the part are its neighbours.
    expected = torch.nn.functional.conv2d(x[..., -3:, -40:].float(), weight.float(), padding=1)
    got = y[..., -1, -20:].float()
    assert bool((got != 0).all())
    assert (got - expected[..., -1, -20:]).abs().max() < 2e-2


def test_a_convolution_by_a_weight_beyond_31_bits() -> None:
    outputs, inputs = 2**19 + 1, 2**12
    x, weight = torch.randn(1, inputs, 1, 1).half(), _lazy((outputs, inputs, 1, 1), torch.float16)
    assert weight.numel() > 2**31
    weight[-1] = torch.randn(inputs, 1, 1) / 64
    none = None, None, fused.NO_NOISE, None, "linear", 0.2, 1.0, None, None
    with _last_program():
        y = fused.convolution(x, weight, 1, 0, *none)
    expected = torch.nn.functional.conv2d(x.float(), weight[-1:].float())
    torch.testing.assert_close(y[:, -1:].float(), expected, rtol=2e-3, atol=2e-3)
