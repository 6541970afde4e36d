"""Registered ops that have one derivative on Triton."""

from __future__ import annotations

from typing import Any, NoReturn

from sdx_kernels.dispatch import KernelError


def refuse_second(gradient: Any, op: str) -> None:
    """Make the registered op that is the first derivative of ``op`` raise KernelError where it is differentiated."""

    def save_nothing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    def refuse(ctx: Any, *_: Any) -> NoReturn:
        raise KernelError(
            f"{op}: expected first derivatives alone of impl='triton', got a second one; use impl='reference'"
        )

    gradient.register_autograd(refuse, setup_context=save_nothing)
