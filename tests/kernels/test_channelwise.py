"""channelwise against torch's own layers, its layout, and hostile input."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn.functional import prelu

import tolerances
from sdx_kernels import KernelError, backend, dispatch
from sdx_kernels.channelwise import channelwise
from sdx_kernels.channelwise.op import forward

IMPLS = [impl for impl in get_args(dispatch.Impl) if impl != "auto"]
LAST = torch.channels_last


@pytest.fixture(params=IMPLS)
def impl(request: pytest.FixtureRequest) -> Any:
    if request.param == "triton" and torch.cuda.is_available():
        pytest.skip("Triton does not interpret beside a CUDA device")
    return request.param


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_it_is_torchs_layers_one_after_the_other(dtype: torch.dtype, narrow: bool, impl: Any) -> None:
    x, added = (torch.randn(2, 5, 3, 7).to(dtype) for _ in range(2))
    bias, slope = (torch.randn(5).to(dtype if narrow else torch.float32) for _ in range(2))
    expected = prelu(x.double() + bias.double()[:, None, None], slope.double()) + added.double()
    got = channelwise(x, bias, slope=slope, added=added, impl=impl)
    assert got.dtype == dtype
    assert got.is_contiguous(memory_format=LAST)
    tolerances.check("channelwise", got, expected)


def test_float64_stays() -> None:
    x, bias = torch.randn(2, 5, 3, 7, dtype=torch.float64), torch.randn(5)
    got = channelwise(x, bias, slope=bias.double())
    tolerances.check("channelwise", got, prelu(x + bias.double()[:, None, None], bias.double()))


def test_the_sum_follows_the_activation(impl: Any) -> None:
    one = torch.ones(1, 1, 1, 1)
    got = channelwise(-one, torch.tensor([-1.0]), slope=torch.tensor([0.5]), added=-one, impl=impl)
    assert got.item() == -2.0


def test_nan_stays_and_infinity_is_torchs(impl: Any) -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).view(1, 1, 2, 2)
    zero, slope = torch.zeros(1), torch.tensor([0.25])
    got = channelwise(x, zero, slope=slope, impl=impl)
    torch.testing.assert_close(got, prelu(x, slope), equal_nan=True, rtol=0, atol=0)
    assert channelwise(x, zero, added=x, impl=impl).isnan().flatten().tolist() == [True, False, False, False]
    assert bool(channelwise(torch.zeros_like(x), zero + float("nan"), slope=slope, impl=impl).isnan().all())


def test_the_result_is_never_the_argument(impl: Any) -> None:
    x = torch.randn(2, 4, 3, 3).contiguous(memory_format=LAST)
    got = channelwise(x, torch.zeros(4), impl=impl)
    assert torch.equal(got, x)
    assert got.data_ptr() != x.data_ptr()


def test_an_empty_batch_stays_empty(impl: Any) -> None:
    x = torch.zeros(0, 3, 4, 5)
    assert channelwise(x, torch.zeros(3), slope=torch.zeros(3), added=x, impl=impl).shape == x.shape


def test_no_gradient_flows_and_inference_mode_is_fine(impl: Any) -> None:
    x = torch.randn(1, 2, 3, 3, requires_grad=True)
    bias = torch.zeros(2, requires_grad=True)
    got = channelwise(x, bias, slope=bias, impl=impl)
    assert not got.requires_grad
    with torch.inference_mode():
        assert torch.equal(channelwise(x, bias, slope=bias, impl=impl), got)


def test_the_registered_op_is_sound() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=LAST)
    for arguments in ((x, torch.randn(3), None, None), (x[:, :, ::2], torch.randn(3), torch.randn(3), x[:, :, 1::2])):
        torch.library.opcheck(forward, arguments)


def test_it_compiles_whole() -> None:
    def op(x: Tensor) -> Tensor:
        return channelwise(x, x[0, :, 0, 0], slope=x[0, :, 0, 1], added=x)

    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(torch.compile(op, fullgraph=True, backend="eager")(x), op(x))


def test_it_is_no_public_op() -> None:
    assert "channelwise" not in backend()


IMAGE, THREE = torch.zeros(2, 3, 4, 5), torch.zeros(3)
HOSTILE: dict[str, tuple[str, dict[str, Any]]] = {
    "rank": (r"expected floating-point x \[N, C, H, W\]", {"x": torch.zeros(2, 3)}),
    "integers": ("expected floating-point x", {"x": IMAGE.int()}),
    "float8": ("expected a floating-point image", {"x": IMAGE.to(torch.float8_e5m2)}),
    "no tensor": ("expected x as a tensor", {"x": 1.0}),
    "no bias": (r"expected bias as a tensor \[C\]", {"bias": None}),
    "bias of another length": (r"expected bias \[3\]", {"bias": torch.zeros(1)}),
    "bias of another rank": ("expected floating-point bias", {"bias": torch.zeros(3, 1)}),
    "bias of another format": (r"expected bias \[3\] in float32 or", {"bias": THREE.half()}),
    "one slope for all": (r"expected slope \[3\]", {"slope": torch.zeros(1)}),
    "slope of integers": (r"expected slope \[3\] in float32", {"slope": THREE.int()}),
    "slope as a number": ("expected slope as a tensor", {"slope": 0.25}),
    "added that broadcasts": (r"expected added \[2, 3, 4, 5\]", {"added": torch.zeros(2, 3, 1, 1)}),
    "added of another format": ("expected added .* in torch.float32 as x", {"added": IMAGE.half()}),
    "added elsewhere": ("expected added on cpu", {"added": IMAGE.to("meta")}),
    "implementation": ("expected impl", {"impl": "cuda"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_it_cannot_take_is_named(name: str) -> None:
    message, arguments = HOSTILE[name]
    given = {"x": IMAGE, "bias": THREE, **arguments}
    with pytest.raises(KernelError, match=f"^channelwise: {message}"):
        channelwise(given.pop("x"), given.pop("bias"), **given)


def test_triton_does_not_take_float64() -> None:
    with pytest.raises(KernelError, match="use impl='auto'"):
        channelwise(IMAGE.double(), THREE, impl="triton")
