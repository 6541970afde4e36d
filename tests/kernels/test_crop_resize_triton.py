"""crop_resize's Triton kernels: derivatives, tracers, other configurations, NaN; several sizes and the coarser part."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, crop_resize, launch
from sdx_kernels.crop_resize import autograd
from sdx_kernels.testing import record

BOX = (0.13, 0.21, 0.87, 0.93)
IMPLS = ("reference", "triton")


def _line(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upsample a line of numbers by 2: a quarter of the farther neighbour, nothing beyond the ends."""
    padded = np.concatenate([[0.0], signal, [0.0]])
    result = np.empty(2 * len(signal))
    result[::2] = (padded[:-2] + 3 * padded[1:-1]) / 4
    result[1::2] = (3 * padded[1:-1] + padded[2:]) / 4
    return result


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_the_coarser_part_is_upsampled_and_added_before_the_clamp(impl: Any, clamp: float | None) -> None:
    image, skip = torch.randn(2, 3, 12, 10), torch.randn(2, 3, 6, 5)
    upsampled = np.apply_along_axis(_line, 3, np.apply_along_axis(_line, 2, skip.double().numpy()))
    whole = image.double() + torch.from_numpy(upsampled)
    got = crop_resize(image, 7, box=BOX, clamp=clamp, skip=skip, impl=impl)
    tolerances.check("crop_resize", got, crop_resize(whole, 7, box=BOX, clamp=clamp))
    assert torch.equal(crop_resize(image, 12, box=(0, 0, 1, 1), skip=skip * 0, impl=impl)[..., 0, 0], image[..., 0, 0])


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_several_sizes_are_those_one_by_one(impl: Any, channels_last: bool) -> None:
    order = torch.channels_last if channels_last else torch.contiguous_format
    image = torch.randn(2, 3, 12, 10).contiguous(memory_format=order).requires_grad_()
    together = crop_resize(image, [5, 1, 16], box=BOX, clamp=1.0, impl=impl)
    apart = [crop_resize(image, size, box=BOX, clamp=1.0, impl=impl) for size in (5, 1, 16)]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        assert one.stride() == other.stride()
    upstream = [torch.randn_like(face) for face in apart]
    (got,), (expected,) = (torch.autograd.grad(faces, image, upstream) for faces in (together, apart))
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-6)


def test_one_launch_gives_all_sizes() -> None:
    with record() as recording:
        crop_resize(torch.randn(1, 3, 12, 10), (5, 1, 16), skip=torch.randn(1, 3, 6, 5), impl="triton")
    assert recording.launches == {"crop_resize_kernel": 1}


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("clamp", [None, 0.8])
def test_two_orders_of_derivatives(clamp: float | None, skip: bool) -> None:
    image = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    coarse = torch.randn(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)

    def squared(image: Tensor, coarse: Tensor) -> Tensor:
        result: Tensor = autograd.forward(image, coarse if skip else None, [2, 1], list(BOX), False, clamp)
        return result.square()  # the op alone is linear, and its second derivative nought

    inputs = (image, coarse) if skip else (image,)
    op = squared if skip else lambda image: squared(image, coarse)
    assert torch.autograd.gradcheck(op, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(op, inputs, fast_mode=True)


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("direction_order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_second_derivative_does_not_hang_on_memory_formats(
    order: torch.memory_format, direction_order: torch.memory_format, clamp: float | None
) -> None:
    image = torch.randn(2, 3, 6, 4).contiguous(memory_format=order)
    direction = torch.randn(2, 3, 6, 4).contiguous(memory_format=direction_order)
    found = []
    for impl in IMPLS:
        x = image.detach().requires_grad_()
        y = crop_resize(x, 3, box=BOX, clamp=clamp, impl=impl)  # type: ignore[arg-type]
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad((first * direction).sum(), x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("impl", IMPLS)
def test_a_face_of_several_may_be_changed_in_place(impl: Any) -> None:
    image = torch.randn(1, 3, 6, 4, requires_grad=True)
    first, second = crop_resize(image, (3, 2), impl=impl)
    first.mul_(2.0)
    (got,) = torch.autograd.grad(first.sum() + second.sum(), image)
    one, other = (crop_resize(image, size, impl=impl) for size in (3, 2))
    torch.testing.assert_close(got, torch.autograd.grad(2 * one.sum() + other.sum(), image)[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck looks at it
def test_the_registered_ops_keep_their_promises() -> None:
    ops = torch.ops.sdx_kernels
    for order in (torch.contiguous_format, torch.channels_last):
        image = torch.randn(1, 2, 4, 2).contiguous(memory_format=order).requires_grad_()
        skip = torch.randn(1, 2, 2, 1, requires_grad=True)
        rest = [1, 2], list(BOX), True, 1.0
        torch.library.opcheck(ops.crop_resize.default, (image, skip, *rest))
        upstream = torch.randn(2 * (1 + 4), requires_grad=True)
        torch.library.opcheck(ops.crop_resize_grad.default, (upstream, image.detach(), skip.detach(), *rest))


def _face(image: Tensor, skip: Tensor) -> Tensor:
    faces = crop_resize(image, (5, 3), box=BOX, clamp=1.0, skip=skip, impl="triton")
    return faces[0].sum() + faces[1]


def test_compiles_and_exports_whole() -> None:
    tensors = torch.randn(2, 3, 6, 4, requires_grad=True), torch.randn(2, 3, 3, 2, requires_grad=True)
    compiled = torch.compile(_face, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*tensors), _face(*tensors))
    got = torch.autograd.grad(compiled(*tensors).square().sum(), tensors)
    for one, other in zip(got, torch.autograd.grad(_face(*tensors).square().sum(), tensors), strict=True):
        torch.testing.assert_close(one, other)

    class Face(torch.nn.Module):
        def forward(self, image: Tensor, skip: Tensor) -> Tensor:
            return _face(image, skip)

    frozen = tuple(t.detach() for t in tensors)
    assert torch.equal(torch.export.export(Face(), frozen).module()(*frozen), _face(*frozen))


def test_two_configurations_agree() -> None:
    image, skip = torch.randn(2, 3, 6, 4), torch.randn(2, 3, 3, 2)
    plain = crop_resize(image, (5, 3), box=BOX, skip=skip, impl="triton")
    other = launch.Row("crop_resize_kernel", {"BLOCK_P": 16, "BLOCK_C": 4})
    with mock.patch.object(launch, "TABLE", (other, *launch.TABLE)):
        again = crop_resize(image, (5, 3), box=BOX, skip=skip, impl="triton")
    for one, two in zip(plain, again, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("outside", [float("nan"), float("inf")])
def test_neither_pixels_outside_of_the_box_nor_other_planes_are_read(outside: float) -> None:
    image = torch.randn(2, 2, 8, 8)
    whole = crop_resize(image, 3, box=(0.25, 0.25, 0.75, 0.75), impl="triton")
    image[0, 0, :2] = image[0, 0, 6:] = image[0, 0, :, :2] = image[0, 0, :, 6:] = outside
    assert torch.equal(crop_resize(image, 3, box=(0.25, 0.25, 0.75, 0.75), impl="triton"), whole)
    image[0, 1, 4, 4] = float("nan")
    wrong = crop_resize(image, 3, box=(0.25, 0.25, 0.75, 0.75), impl="triton").isnan()
    assert wrong[0, 1].any()
    assert wrong.sum() == wrong[0, 1].sum()


def test_an_empty_batch() -> None:
    image = torch.zeros(0, 3, 8, 8, requires_grad=True)
    faces = crop_resize(image, (5, 3), impl="triton")
    assert [face.shape for face in faces] == [(0, 3, 5, 5), (0, 3, 3, 3)]
    torch.autograd.grad([face.sum() for face in faces], image)


@pytest.mark.parametrize(
    ("image", "skip", "named"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), "[1, 3, 8, 8]"),
        (torch.zeros(1, 3, 7, 8), torch.zeros(1, 3, 3, 4), "[1, 3, 7, 8]"),
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 4, 4).half(), "torch.float16"),
    ],
)
def test_skips_it_cannot_take(image: Tensor, skip: Tensor, named: str) -> None:
    with pytest.raises(KernelError, match="crop_resize: expected skip") as error:
        crop_resize(image, 3, skip=skip)
    assert named in str(error.value)


@pytest.mark.parametrize("size", [(), (3, 0), (2.5,), "12", None])
def test_sizes_it_cannot_take(size: Any) -> None:
    with pytest.raises(KernelError, match="crop_resize: expected a whole size"):
        crop_resize(torch.zeros(1, 3, 8, 8), size)
