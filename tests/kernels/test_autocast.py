"""Under autocast a convolution takes its format, a loss stays in float32, and the rest keep what they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sdx_kernels import (
    KernelError,
    PackedWeight,
    bias_act,
    crop_resize,
    embedding_loss,
    embedding_loss_gradient,
    modulated_conv2d,
    prototype_loss,
    styled_layer,
    upfirdn2d,
)
from sdx_kernels.compat import nvidia, rosinality

HALVES = (torch.bfloat16, torch.float16)
FORMATS = (*HALVES, torch.float32, torch.float64)
BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
both = pytest.mark.parametrize("impl", ["reference", "triton"])
halves = pytest.mark.parametrize("half", HALVES)


@pytest.fixture(autouse=True)
def _interpreted(request: pytest.FixtureRequest) -> None:
    if "triton" in request.node.name and torch.cuda.is_available():
        pytest.skip("Triton does not interpret")


def _normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator).to(dtype)


def _gradients(call: Callable[..., Tensor], *leaves: Tensor) -> list[Tensor]:
    """Return the result of a call and the gradients of its leaves."""
    leaves = tuple(leaf.detach().requires_grad_() for leaf in leaves)
    result = call(*leaves)
    with torch.autocast("cpu", enabled=False):  # a backward pass is not to run under it, says torch
        return [result.detach(), *torch.autograd.grad(result.float().square().sum(), leaves)]


def _same(got: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    assert [each.dtype for each in got] == [each.dtype for each in wanted]
    assert all(map(torch.equal, got, wanted))


@both
@halves
@pytest.mark.parametrize("up", [1, 2])
def test_a_convolution_runs_in_autocasts_format(up: int, half: torch.dtype, impl: Any) -> None:
    x, weight, styles, bias = _normal(2, 3, 6, 6), _normal(4, 3, 3, 3), _normal(2, 3), _normal(4)

    def call(x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor) -> Tensor:
        return modulated_conv2d(x, weight, styles, bias=bias, up=up, padding=1, filter=BINOMIAL, act="lrelu", impl=impl)

    def cast(x: Tensor, *rest: Tensor) -> Tensor:
        return call(x.to(half), *rest)

    wanted = _gradients(cast, x, weight, styles, bias)
    with torch.autocast("cpu", half):
        got = _gradients(call, x, weight, styles, bias)
        without = call(x, weight, styles, bias)
    _same(got, wanted)
    assert [each.dtype for each in got] == [half] + [torch.float32] * 4
    with torch.no_grad():
        _same([without], [cast(x, weight, styles, bias)])


@halves
@pytest.mark.parametrize("dtype", FORMATS)
def test_a_convolutions_format_is_that_of_torchs(dtype: torch.dtype, half: torch.dtype) -> None:
    x, weight = _normal(1, 3, 6, 6, dtype=dtype), _normal(4, 3, 3, 3, dtype=dtype)
    with torch.autocast("cpu", half):
        wanted, got = conv2d(x, weight).dtype, modulated_conv2d(x, weight, _normal(1, 3, dtype=dtype)).dtype
        with torch.autocast("cpu", enabled=False):
            off = modulated_conv2d(x, weight, _normal(1, 3, dtype=dtype)).dtype
    assert got == wanted == (torch.float64 if dtype == torch.float64 else half)
    assert off == dtype


@both
@halves
@pytest.mark.parametrize("packed_in", [*HALVES, torch.float32])
def test_a_frozen_layer_runs_in_the_format_of_its_packed_weight(
    packed_in: torch.dtype, half: torch.dtype, impl: Any
) -> None:
    packed = PackedWeight.of(_normal(4, 3, 3, 3), dtype=packed_in)
    x, dcoef = _normal(2, 3, 5, 5), packed.dcoef(_normal(2, 3))
    for given in (x, x.half(), x.bfloat16()):
        wanted, _ = styled_layer(given.to(packed_in), packed, dcoef, impl=impl)
        with torch.autocast("cpu", half):
            got, _ = styled_layer(given, packed, dcoef, impl=impl)
        _same([got], [wanted])
        if given.dtype != packed_in:
            with pytest.raises(KernelError, match="styled_layer: expected x in"):
                styled_layer(given, packed, dcoef, impl=impl)


@both
@halves
@pytest.mark.parametrize("formats", [(0, 0), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)])
def test_a_distance_is_in_float32_whatever_it_is_given(formats: tuple[int, int], half: torch.dtype, impl: Any) -> None:
    if impl == "triton" and formats[0] == 0:
        pytest.skip("Triton's interpreter rounds bfloat16 towards zero, torch to the nearest")
    student, teacher = (_normal(5, 9 + i, dtype=FORMATS[each])[:, :9] for i, each in enumerate(formats))

    def call(s: Tensor, t: Tensor) -> Tensor:
        return embedding_loss(s, t, cosine=0.5, impl=impl)[0]

    def together(**options: Any) -> tuple[Tensor, ...]:
        return embedding_loss_gradient(student, teacher, cosine=0.5, impl=impl, **options)

    wanted, wanted_together = _gradients(call, student, teacher), together(scale=torch.tensor(8.0, dtype=half))
    with torch.autocast("cpu", half):
        got, got_together = _gradients(call, student, teacher), together(scale=torch.tensor(8.0, dtype=half))
    _same(got, wanted)
    _same(got_together, wanted_together)
    assert [each.dtype for each in got] == [torch.float32, student.dtype, teacher.dtype]
    assert [each.dtype for each in got_together] == [torch.float32, torch.float32, student.dtype]


@halves
def test_the_registered_distance_casts_to_float32_by_itself(half: torch.dtype) -> None:
    if torch.cuda.is_available():
        pytest.skip("Triton does not interpret")
    student = _normal(5, 8, dtype=half)
    gradient = torch.ops.sdx_kernels.embedding_loss_gradient
    assert gradient(student, student, 1.0, 0.5, 1.0, None)[2].dtype == half
    with torch.autocast("cpu", half):
        assert gradient(student, student, 1.0, 0.5, 1.0, None)[2].dtype == torch.float32


@both
@halves
@pytest.mark.parametrize("formats", [(1, 1), (0, 2), (2, 0), (2, 2)])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_softmax_loss_is_in_float32_whatever_it_is_given(
    labelled: bool, formats: tuple[int, int], half: torch.dtype, impl: Any
) -> None:
    student, bank = _normal(5, 16, dtype=FORMATS[formats[0]]), _normal(7, 16, dtype=FORMATS[formats[1]])
    side = {"labels": torch.arange(5)} if labelled else {"teacher": _normal(5, 17), "teacher_bank": _normal(7, 17)}

    def call(student: Tensor, bank: Tensor) -> Tensor:
        return prototype_loss(student, bank, scale=2.0, impl=impl, **side)[0]

    wanted = _gradients(call, student, bank)
    with torch.autocast("cpu", half):
        got = _gradients(call, student, bank)
    _same(got, wanted)
    assert [each.dtype for each in got] == [torch.float32, student.dtype, bank.dtype]


KEEPING: dict[str, Callable[..., Tensor]] = {
    "bias_act": lambda x, **impl: bias_act(x, torch.arange(3.0), act="softplus", clamp=1.0, **impl),
    "crop_resize": lambda x, **impl: crop_resize(x, 5, antialias=True, **impl),
    "upfirdn2d": lambda x, **impl: upfirdn2d(x, BINOMIAL, up=2, padding=1, **impl),
}


@both
@halves
@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
@pytest.mark.parametrize("op", KEEPING)
def test_the_rest_keep_their_format(op: str, dtype: torch.dtype, half: torch.dtype, impl: Any) -> None:
    x = _normal(2, 3, 6, 6, dtype=dtype)
    wanted = _gradients(lambda x: KEEPING[op](x, impl=impl), x)
    with torch.autocast("cpu", half):
        got = _gradients(lambda x: KEEPING[op](x, impl=impl), x)
    _same(got, wanted)
    assert got[0].dtype == dtype


@both
@halves
@pytest.mark.parametrize("formats", [(0, 2), (2, 0), (0, 1)])
def test_a_crop_and_its_coarser_part_meet_in_the_wider_format(
    formats: tuple[int, int], half: torch.dtype, impl: Any
) -> None:
    image, skip = _normal(2, 3, 6, 6, dtype=FORMATS[formats[0]]), _normal(2, 3, 3, 3, dtype=FORMATS[formats[1]])

    def call(image: Tensor, skip: Tensor) -> Tensor:
        return crop_resize(image, 4, skip=skip, impl=impl)

    def widened(image: Tensor, skip: Tensor) -> Tensor:
        return call(image.float(), skip.float())  # the wider of any two that differ

    with torch.autocast("cpu", half):
        got = _gradients(call, image, skip)
    _same(got, _gradients(widened, image, skip))
    with pytest.raises(KernelError, match="crop_resize: expected skip"):
        call(image, skip)


@halves
def test_the_drop_ins_do_as_the_originals(half: torch.dtype) -> None:
    """NVIDIA's convolution is torch's, which follows autocast; their other ops and rosinality's have no rule for it."""
    x, weight, styles, bias = _normal(2, 3, 6, 6), _normal(4, 3, 3, 3), _normal(2, 3), _normal(3)
    calls: list[Callable[..., Tensor]] = [
        lambda x: nvidia.bias_act.bias_act(x, bias, act="lrelu"),
        lambda x: nvidia.upfirdn2d.upfirdn2d(x, BINOMIAL, up=2),
        lambda x: rosinality.fused_leaky_relu(x, bias),
        lambda x: rosinality.upfirdn2d(x, torch.outer(BINOMIAL, BINOMIAL), pad=(2, 1)),
    ]
    for call in calls:
        wanted = _gradients(call, x)
        with torch.autocast("cpu", half):
            _same(_gradients(call, x), wanted)
        assert wanted[0].dtype == torch.float32
    with torch.autocast("cpu", half):
        assert nvidia.modulated_conv2d(x, weight, styles, padding=1).dtype == half
