"""What kernels compile to for a GPU that is not there: registers, shared memory, instructions.

with compile_for(90) as compiled:
    my_op(torch.empty(...))          # its launches compile and do not run
assert all(kernel.local_bytes == 0 for kernel in compiled)
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

_REGISTERS_OF_A_PROCESSOR = 65536
_WARPS_OF_A_PROCESSOR = 64
_REGISTER_UNIT = 256  # registers are given to a warp in pieces of this many


@dataclass(frozen=True)
class Compiled:
    """One compiled kernel.

    Args:
        kernel: its name.
        arch: compute capability, e.g. 90.
        types: Triton's types of the arguments, e.g. "*fp16", in order; "constexpr" for constants.
        constants: the values of constants, by name.
        warps: warps of a program.
        registers: of a thread.
        shared_bytes: shared memory of a program.
        local_bytes: local memory of a thread: registers that did not fit.
        ptx: the text that ptxas took.
        sass: the machine code, disassembled.
    """

    kernel: str
    arch: int
    types: tuple[str, ...]
    constants: dict[str, Any]
    warps: int
    registers: int
    shared_bytes: int
    local_bytes: int
    ptx: str
    sass: str

    @property
    def resident_warps(self) -> int:
        """Warps that a multiprocessor holds at once, as far as registers and shared memory go."""
        unit = -(-self.registers * 32 // _REGISTER_UNIT) * _REGISTER_UNIT
        programs = _REGISTERS_OF_A_PROCESSOR // (unit * self.warps)
        if self.shared_bytes:
            programs = min(programs, SHARED_BYTES[self.arch] // (self.shared_bytes + 1024))
        return min(programs * self.warps, _WARPS_OF_A_PROCESSOR)

    def count(self, pattern: str) -> int:
        """Return how many machine instructions match a regular expression."""
        return len(re.findall(pattern, self.sass))


SHARED_BYTES = {80: 164 * 1024, 90: 228 * 1024}
"""Shared memory of a multiprocessor; a program gets at most 1 KiB less."""


class _AbsentGpu:
    """Enough of a Triton driver to compile: nothing can be launched on it."""

    def __init__(self, arch: int) -> None:
        from triton.backends.compiler import GPUTarget

        self._target = GPUTarget("cuda", arch, 32)

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> tuple[str, int]:
        return ("absent", self._target.arch)  # a key for compiled kernels that no real device has

    def get_current_stream(self, device: object) -> int:
        return 0


@contextmanager
def compile_for(arch: int) -> Iterator[list[Compiled]]:
    """Compile what the block launches, for compute capability ``arch``, and launch nothing.

    Tensors lie on the CPU and keep what they hold, so results are worthless but shapes are right.

    Raises:
        RuntimeError: where Triton interprets.
    """
    from triton import knobs
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    from sdx_kernels import dispatch, launch

    if knobs.runtime.interpret:
        raise RuntimeError("compile_for: expected no TRITON_INTERPRET in the environment")
    found: list[Compiled] = []
    run = JITFunction.run

    def compiled_run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **kwargs)
        found.append(_described(kernel, arch))
        return kernel

    with (
        mock.patch.object(driver, "_active", _AbsentGpu(arch)),
        mock.patch.object(JITFunction, "run", compiled_run),
        mock.patch.object(dispatch, "obstacle", return_value=None),
        mock.patch.object(launch, "arch_of", return_value=arch),
    ):
        yield found


def _described(kernel: Any, arch: int) -> Compiled:
    source = kernel.src
    names = source.fn.arg_names
    registers, local = _resources(kernel.asm["cubin"])
    return Compiled(
        kernel=source.fn.__name__,
        arch=arch,
        types=tuple(source.signature[name] for name in names),
        constants={
            ".".join(names[i] if i == path[0] else str(i) for i in path): value
            for path, value in source.constants.items()
        },
        warps=kernel.metadata.num_warps,
        registers=registers,
        shared_bytes=kernel.metadata.shared,
        local_bytes=local,
        ptx=kernel.asm["ptx"],
        sass=_tool("nvdisasm", "-c", "-ndf", cubin=kernel.asm["cubin"]),
    )


def _resources(cubin: bytes) -> tuple[int, int]:
    text = _tool("cuobjdump", "-res-usage", cubin=cubin)
    registers, stack, local = (
        int(re.search(rf"{word}:(\d+)", text)[1])  # type: ignore[index]  # the tool always prints them
        for word in ("REG", "STACK", "LOCAL")
    )
    return registers, stack + local


@functools.lru_cache(maxsize=512)
def _tool(name: str, *options: str, cubin: bytes) -> str:
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([path, *options, file.name], capture_output=True, text=True, check=True).stdout
