"""crop_resize against lines resampled by numpy in float64, torch's own interpolation, and hostile input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import interpolate

import tolerances
from sdx_kernels import KernelError, crop_resize

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
SYNTHDISTILL: Box = (21 / 256, 22 / 256, 234 / 256, 235 / 256)
HALVES = (torch.float16, torch.bfloat16)


def _resample(signal: NDArray[np.float64], start: float, end: float, size: int, antialias: bool) -> NDArray[np.float64]:
    """Resample a line of pixels by the docstring's formula."""
    length = len(signal)
    first, last = start * length, end * length
    centre = first + (np.arange(size) + 0.5) * (last - first) / size
    if antialias:
        pixel = np.arange(length) + 0.5
        weight = np.maximum(1 - np.abs(pixel - centre[:, None]) / max((last - first) / size, 1.0), 0)
        weight[:, (pixel <= first) | (pixel >= last)] = 0
        return np.asarray(weight @ signal / weight.sum(1), np.float64)
    return np.interp(np.clip(centre - 0.5, first, last - 1), np.arange(length), signal)


def _oracle(image: Tensor, size: int, box: Box, antialias: bool = False, clamp: float | None = None) -> Tensor:
    source: NDArray[np.float64] = image.detach().double().numpy()
    if clamp is not None:
        source = np.minimum(np.maximum(source, -clamp), clamp)
    tall = np.apply_along_axis(_resample, 3, source, box[1], box[3], size, antialias)
    return torch.from_numpy(np.apply_along_axis(_resample, 2, tall, box[0], box[2], size, antialias))


CASES: list[tuple[int, int, int, Box]] = [
    (9, 13, 7, WHOLE),
    (9, 13, 20, WHOLE),
    (12, 10, 5, (0.13, 0.21, 0.87, 0.93)),
    (12, 10, 17, (0.13, 0.21, 0.87, 0.93)),
    (31, 17, 1, (0.2, 0.0, 0.71, 1.0)),
    (40, 63, 11, (0.0, 0.5, 0.5, 1.0)),
    (1, 1, 3, WHOLE),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALVES])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("height", "width", "size", "box"), CASES)
def test_agrees_with_lines_resampled_by_numpy(
    height: int, width: int, size: int, box: Box, antialias: bool, dtype: torch.dtype, device: torch.device
) -> None:
    image = torch.randn(2, 3, height, width).to(dtype)
    got = crop_resize(image.to(device), size, box=box, antialias=antialias)
    assert got.dtype == dtype
    tolerances.check("crop_resize", got.cpu(), _oracle(image, size, box, antialias))


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_accumulates_in_float32(dtype: torch.dtype) -> None:
    image = torch.randn(1, 3, 64, 64).to(dtype)
    wide = crop_resize(image.float(), 8, antialias=True).to(dtype)
    assert torch.equal(crop_resize(image, 8, antialias=True), wide)


def test_autocast_does_not_lower_the_precision() -> None:
    image = torch.randn(1, 3, 20, 20)
    plain = crop_resize(image, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(crop_resize(image, 9), plain)


@pytest.mark.parametrize("antialias", [False, True])
def test_synthdistill_crop_is_torch_interpolate(antialias: bool) -> None:
    image = torch.rand(1, 3, 256, 256, dtype=torch.float64) * 2 - 1
    slice_ = image[:, :, 21:234, 22:235]
    torchs = interpolate(slice_, size=(112, 112), mode="bilinear", align_corners=False, antialias=antialias)
    got = crop_resize(image, 112, box=SYNTHDISTILL, antialias=antialias)
    torch.testing.assert_close(got, torchs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [1, 63, 100])
@pytest.mark.parametrize(("top", "left", "bottom", "right"), [(0, 0, 100, 75), (3, 7, 64, 70), (50, 20, 53, 21)])
def test_boxes_of_whole_pixels_are_torch_interpolate(
    top: int, left: int, bottom: int, right: int, size: int, antialias: bool
) -> None:
    height, width = 100, 75
    image = torch.randn(2, 3, height, width, dtype=torch.float64)
    slice_ = image[:, :, top:bottom, left:right]
    torchs = interpolate(slice_, size=(size, size), mode="bilinear", align_corners=False, antialias=antialias)
    box = (top / height, left / width, bottom / height, right / width)
    got = crop_resize(image, size, box=box, antialias=antialias)
    torch.testing.assert_close(got, torchs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALVES])
def test_pixels_that_keep_their_size_are_copied(dtype: torch.dtype, antialias: bool) -> None:
    image = torch.randn(2, 3, 33, 40).to(dtype)
    image[0, 0, 5, 5] = float("inf")  # 0 * inf would spoil its row and column
    got = crop_resize(image, 32, box=(1 / 33, 4 / 40, 1.0, 36 / 40), antialias=antialias)
    assert torch.equal(got, image[:, :, 1:, 4:36])
    assert got.is_contiguous()
    got.fill_(7.0)
    assert not bool((image == 7.0).any())
    whole = torch.randn(2, 3, 8, 8).to(dtype)
    got = crop_resize(whole, 8, antialias=antialias)
    assert torch.equal(got, whole)
    assert got.data_ptr() != whole.data_ptr()


def test_a_crop_met_in_inference_mode_serves_training_later() -> None:
    box = (0.123, 0.0, 0.789, 1.0)  # of no other test: what is kept of it is made here
    with torch.inference_mode():
        frozen = crop_resize(torch.ones(1, 1, 10, 10), 4, box=box)
    image = torch.ones(1, 1, 10, 10, requires_grad=True)
    got = crop_resize(image, 4, box=box)
    got.sum().backward()
    assert torch.equal(got, frozen)
    assert image.grad is not None
    assert image.grad.sum().item() == pytest.approx(16)


def test_tracing_leaves_nothing_behind() -> None:
    box = (0.321, 0.0, 0.777, 1.0)  # of no other test
    assert crop_resize(torch.ones(2, 1, 10, 10, device="meta"), 4, box=box).shape == (2, 1, 4, 4)
    with FakeTensorMode() as mode:
        shape = crop_resize(mode.from_tensor(torch.ones(2, 1, 10, 10)), 4, box=box).shape
    assert shape == (2, 1, 4, 4)
    got = crop_resize(torch.ones(2, 1, 10, 10), 4, box=box)
    assert type(got) is Tensor
    torch.testing.assert_close(got, torch.ones(2, 1, 4, 4))
    with FakeTensorMode() as mode:  # and does not meet what the real call has left
        assert crop_resize(mode.from_tensor(torch.ones(2, 1, 10, 10)), 4, box=box).shape == (2, 1, 4, 4)


def test_moves_continuously_with_the_box() -> None:
    image = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    step = 1e-4  # of the side: 0.0032 pixels, and neighbours differ by at most 1
    previous = crop_resize(image, 16, box=(0.1, 0.1, 0.7, 0.7))
    for k in range(1, 401):  # more than a whole pixel
        edge = 0.1 + k * step
        now = crop_resize(image, 16, box=(edge, 0.1, edge + 0.6, 0.7))
        assert (now - previous).abs().max().item() <= 32 * step + 1e-9
        previous = now
    away = crop_resize(image, 16, box=(0.1, 0.1, 0.7, 0.7))
    assert (previous - away).abs().max().item() > 0.1


def test_a_box_narrower_than_a_pixel_reads_that_pixel() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    for antialias in (False, True):
        got = crop_resize(image, 2, box=(0.3, 0.3, 0.301, 0.301), antialias=antialias)
        assert bool(((got >= 0) & (got <= 15)).all())
        assert got.max() - got.min() < 1.0


@pytest.mark.parametrize("outside", [float("nan"), float("inf")])
@pytest.mark.parametrize("antialias", [False, True])
def test_pixels_outside_the_box_are_not_read(outside: float, antialias: bool) -> None:
    image = torch.randn(1, 2, 24, 30)
    broken = torch.full_like(image, outside)
    broken[:, :, 6:18, 10:20] = image[:, :, 6:18, 10:20]
    box = (6 / 24, 10 / 30, 18 / 24, 20 / 30)
    got = crop_resize(broken, 8, box=box, antialias=antialias)
    assert torch.equal(got, crop_resize(image, 8, box=box, antialias=antialias))


def test_an_empty_batch_stays_empty() -> None:
    image = torch.zeros(0, 3, 20, 20, requires_grad=True)
    got = crop_resize(image, 8, antialias=True, clamp=1.0)
    assert got.shape == (0, 3, 8, 8)
    got.sum().backward()
    assert image.grad is not None
    assert image.grad.shape == image.shape


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_channels_last_is_kept(clamp: float | None) -> None:
    image = torch.randn(2, 3, 20, 24)
    got = crop_resize(image.contiguous(memory_format=torch.channels_last), 9, box=(0.1, 0, 1, 0.9), clamp=clamp)
    assert got.is_contiguous(memory_format=torch.channels_last)
    plain = crop_resize(image, 9, box=(0.1, 0, 1, 0.9), clamp=clamp)
    assert plain.is_contiguous()
    torch.testing.assert_close(got, plain, rtol=0, atol=1e-6)


def test_any_strides_give_the_same_result() -> None:
    image = torch.randn(2, 3, 20, 24)
    views = [
        image.transpose(2, 3).contiguous().transpose(2, 3),
        torch.stack([image, image], dim=-1)[..., 0],
        torch.cat([image, image], dim=3)[..., :24],
        image.flip(3).flip(3),
        image[:1].expand(2, -1, -1, -1),
    ]
    for view in views:
        tolerances.check("crop_resize", crop_resize(view, 7, box=(0.1, 0, 1, 0.9)), _oracle(view, 7, (0.1, 0, 1, 0.9)))


@pytest.mark.parametrize("clamp", [0.5, 2.0])
def test_values_are_limited_before_they_are_mixed(clamp: float) -> None:
    image = 3 * torch.randn(1, 3, 16, 16)
    got = crop_resize(image, 5, clamp=clamp)
    tolerances.check("crop_resize", got, _oracle(image, 5, WHOLE, clamp=clamp))
    assert (got - crop_resize(image, 5).clamp(-clamp, clamp)).abs().max().item() > 0.01


def test_clamp_leaves_the_argument_alone() -> None:
    image = 3 * torch.randn(1, 3, 8, 8)
    before = image.clone()
    crop_resize(image, 8, clamp=1.0)
    assert torch.equal(image, before)


@pytest.mark.parametrize("antialias", [False, True])
def test_first_and_second_derivatives(antialias: bool) -> None:
    image = torch.randn(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)

    def op(x: Tensor) -> Tensor:
        return crop_resize(x, 3, box=(0.1, 0.0, 0.95, 0.8), antialias=antialias)

    def squared(x: Tensor) -> Tensor:
        return op(x).square()  # the op alone is linear, and its second derivative nought

    assert torch.autograd.gradcheck(op, (image,))
    assert torch.autograd.gradcheck(squared, (image,))
    assert torch.autograd.gradgradcheck(squared, (image,))


def test_no_gradient_where_clamped() -> None:
    image = torch.tensor([[[[0.2, 5.0], [-5.0, 0.1]]]], requires_grad=True)
    crop_resize(image, 1, clamp=1.0).sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad, torch.tensor([[[[0.25, 0.0], [0.0, 0.25]]]]))


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (torch.zeros(3, 8, 8), "[3, 8, 8]"),
        (torch.zeros(1, 1, 3, 8, 8), "[1, 1, 3, 8, 8]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.complex64), "torch.complex64"),
        (torch.zeros(1, 3, 8, 8).to(torch.float8_e5m2), "torch.float8_e5m2"),
        (torch.zeros(1, 3, 0, 8), "[1, 3, 0, 8]"),
    ],
)
def test_images_it_cannot_take(image: Tensor, named: str) -> None:
    with pytest.raises(KernelError) as error:
        crop_resize(image, 4)
    assert "crop_resize: expected" in str(error.value)
    assert named in str(error.value)


@pytest.mark.parametrize(
    "box",
    [
        (0.5, 0.0, 0.5, 1.0),
        (0.0, 0.6, 1.0, 0.5),
        (-0.01, 0.0, 1.0, 1.0),
        (0.0, 0.0, 1.01, 1.0),
        (0.0, 0.0, float("nan"), 1.0),
        (0.0, float("-inf"), 1.0, 1.0),
    ],
)
def test_boxes_it_cannot_take(box: Box) -> None:
    with pytest.raises(KernelError, match=r"expected box \(top, left, bottom, right\)"):
        crop_resize(torch.zeros(1, 1, 8, 8), 4, box=box)


@pytest.mark.parametrize("box", [(0, 0, 1), None, "abcd", ("0", "0", "1", "1"), torch.tensor([0.0, 0, 1, 1])])
def test_what_is_no_box(box: Any) -> None:
    with pytest.raises(KernelError, match="crop_resize: expected box as four numbers"):
        crop_resize(torch.zeros(1, 3, 4, 4), 3, box=box)


@pytest.mark.parametrize("size", [0, -3, 1.5, True])
def test_sizes_it_cannot_take(size: Any) -> None:
    with pytest.raises(KernelError, match="expected a whole size >= 1"):
        crop_resize(torch.zeros(1, 1, 8, 8), size)


@pytest.mark.parametrize("clamp", [0.0, -1.0, float("nan"), "1", torch.ones(())])
def test_clamps_it_cannot_take(clamp: Any) -> None:
    with pytest.raises(KernelError, match="expected clamp > 0"):
        crop_resize(torch.zeros(1, 1, 8, 8), 4, clamp=clamp)
