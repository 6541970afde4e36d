"""bias_act against the formulas in Python floats, its rule at the limit, and hostile input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

import tolerances
from sdx_kernels import KernelError, bias_act
from sdx_kernels.bias_act import Activation, autograd

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, their appendix's digits
FORMULAS: dict[Activation, tuple[Callable[[float], float], float]] = {
    "linear": (lambda v: v, 1.0),
    "relu": (lambda v: max(v, 0.0), math.sqrt(2)),
    "lrelu": (lambda v: v if v > 0 else 0.2 * v, math.sqrt(2)),
    "tanh": (math.tanh, 1.0),
    "sigmoid": (lambda v: 1 / (1 + math.exp(-v)), 1.0),
    "elu": (lambda v: v if v > 0 else math.expm1(v), 1.0),
    "selu": (lambda v: SELU_SCALE * (v if v > 0 else SELU_ALPHA * math.expm1(v)), 1.0),
    "softplus": (lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))), 1.0),
    "swish": (lambda v: v / (1 + math.exp(-v)), math.sqrt(2)),
}
ACTS = sorted(FORMULAS)


def _oracle(
    x: Tensor, bias: Tensor | None, dim: int, act: Activation, gain: float | None, clamp: float | None
) -> Tensor:
    formula, default = FORMULAS[act]
    shifted = x.detach().cpu().double()
    if bias is not None:
        shifted = torch.stack([part + b for part, b in zip(shifted.unbind(dim), bias.tolist(), strict=True)], dim)
    limit = math.inf if clamp is None else clamp
    factor = default if gain is None else gain
    values = [min(max(factor * formula(v), -limit), limit) for v in shifted.flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).reshape(x.shape)


def test_there_are_nine_activations() -> None:
    assert sorted(get_args(Activation)) == ACTS
    assert len(ACTS) == 9


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("gain", "clamp"), [(None, None), (-0.7, 1.1)])
def test_agrees_with_the_formulas(
    act: Activation, gain: float | None, clamp: float | None, dtype: torch.dtype, device: torch.device
) -> None:
    x = torch.randn(2, 5, 3, 7)
    x[0, 0, 0] = torch.tensor([0.0, 5.0, -5.0, 9.0, -9.0, 1e-4, -1e-4])
    x, bias = x.to(device, dtype), torch.randn(5).to(device, dtype)
    got = bias_act(x, bias, act=act, gain=gain, clamp=clamp)
    assert got.dtype == dtype
    tolerances.check("bias_act", got.cpu(), _oracle(x, bias, 1, act, gain, clamp))


@pytest.mark.parametrize(("shape", "dim"), [((5,), 0), ((4, 3), 1), ((4, 3), -1), ((2, 3, 4), 2), ((2, 3, 4), -3)])
def test_the_bias_follows_its_dimension(shape: tuple[int, ...], dim: int) -> None:
    x, bias = torch.randn(shape), torch.randn(shape[dim])
    tolerances.check("bias_act", bias_act(x, bias, dim=dim, act="tanh"), _oracle(x, bias, dim, "tanh", None, None))


def test_softplus_is_exact_far_from_zero() -> None:
    x = torch.linspace(-50, 50, 401, dtype=torch.float64)  # torch's default leaves out log1p(exp(-x)) above 20
    expected = _oracle(x, None, 0, "softplus", None, None)
    torch.testing.assert_close(bias_act(x, act="softplus"), expected, rtol=1e-14, atol=0)


def test_alpha_is_the_slope_of_lrelu() -> None:
    x = torch.tensor([-4.0, 4.0])
    assert bias_act(x, act="lrelu", alpha=0.5, gain=1.0).tolist() == [-2.0, 4.0]
    assert bias_act(x, act="lrelu", alpha=0.0, gain=1.0).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("act", ACTS)
def test_first_and_second_derivatives(act: Activation, clamp: float | None) -> None:
    x = torch.linspace(-2.03, 2.11, 24, dtype=torch.float64).reshape(2, 3, 4).requires_grad_()
    bias = torch.tensor([0.013, -0.277, 0.37], dtype=torch.float64, requires_grad=True)

    def op(x: Tensor, bias: Tensor) -> Tensor:
        return bias_act(x, bias, act=act, clamp=clamp)

    assert torch.autograd.gradcheck(op, (x, bias))
    assert torch.autograd.gradgradcheck(lambda x, bias: op(x, bias).square(), (x, bias))


@pytest.mark.parametrize("act", ACTS)
def test_two_orders_of_derivatives_of_the_kernel(act: Activation) -> None:
    x = torch.linspace(-2.03, 2.11, 6, dtype=torch.float64).reshape(1, 2, 3).requires_grad_()
    bias = torch.tensor([0.013, -0.277], dtype=torch.float64, requires_grad=True)

    def op(x: Tensor, bias: Tensor) -> Tensor:
        result: Tensor = autograd.forward(x, bias, 1, act, 0.2, 1.5, 1.9)
        return result

    assert torch.autograd.gradcheck(op, (x, bias))
    assert torch.autograd.gradgradcheck(lambda x, bias: op(x, bias).square(), (x, bias))


def test_no_gradient_on_the_limit_or_beyond() -> None:
    x = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], requires_grad=True)
    y = bias_act(x, clamp=2.0)
    assert y.tolist() == [-2.0, -2.0, -1.0, 1.0, 2.0, 2.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("act", ACTS)
def test_nan_is_not_hidden_and_large_values_stay_finite(act: Activation) -> None:
    x = torch.tensor([float("nan"), 3e4, -3e4], requires_grad=True)
    y = bias_act(x, act=act, clamp=1.0)
    assert y.isnan().tolist() == [True, False, False]
    y[1:].sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad[1:]).all())


def test_channels_last_is_kept() -> None:
    x = torch.randn(2, 3, 4, 5)
    got = bias_act(x.contiguous(memory_format=torch.channels_last), torch.randn(3), act="lrelu", clamp=1.0)
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert bias_act(x, act="relu").is_contiguous()


def test_any_strides() -> None:
    x, bias = torch.randn(4, 12)[:, ::2].T, torch.randn(12)[::2]
    tolerances.check("bias_act", bias_act(x, bias, dim=0, act="elu"), _oracle(x, bias, 0, "elu", None, None))


def test_the_result_is_never_the_argument() -> None:
    x = torch.randn(3, 4)
    got = bias_act(x)
    assert torch.equal(got, x)
    assert got.data_ptr() != x.data_ptr()


def test_an_empty_batch_stays_empty() -> None:
    x, bias = torch.zeros(0, 3, 4, requires_grad=True), torch.zeros(3, requires_grad=True)
    got = bias_act(x, bias, act="swish", clamp=1.0)
    assert got.shape == (0, 3, 4)
    got.sum().backward()
    assert bias.grad is not None
    assert bias.grad.tolist() == [0.0, 0.0, 0.0]


IMAGE = torch.zeros(1, 2, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"x": IMAGE.int()}, "torch.int32"),
        ({"x": IMAGE, "act": "gelu"}, "'gelu'"),
        ({"x": IMAGE, "act": "elu", "alpha": 1.0}, "alpha=1.0 for elu"),
        ({"x": IMAGE, "clamp": 0.0}, "0.0"),
        ({"x": IMAGE, "clamp": float("nan")}, "nan"),
        ({"x": IMAGE, "bias": torch.zeros(3)}, "[3]"),
        ({"x": IMAGE, "bias": torch.zeros(1)}, "[1]"),  # would broadcast
        ({"x": IMAGE, "bias": torch.zeros(2, 1)}, "[2, 1]"),
        ({"x": IMAGE, "bias": torch.zeros(2).long()}, "torch.int64"),
        ({"x": IMAGE, "bias": torch.zeros(2), "dim": 4}, "got 4"),
        ({"x": IMAGE, "bias": torch.zeros(2), "dim": -5}, "got -5"),
    ],
)
def test_what_it_cannot_take(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(KernelError, match="bias_act: expected") as error:
        bias_act(**arguments)
    assert named in str(error.value)
