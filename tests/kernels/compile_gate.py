"""What every Triton kernel compiles to for a GPU that is not there: `python tests/kernels/compile_gate.py ARCH`.

Prints one JSON row for each kernel, number format and configuration, with what breaks a rule under "wrong":
no local memory, no float64 arithmetic, 16-byte accesses on the main stream, matrix instructions in a product of half
formats, shared memory within the chip.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import triton

from sdx_kernels.testing.compiling import SHARED_BYTES, Compiled, compile_for

sys.path.insert(0, str(Path(__file__).parent))
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
PRODUCTS = ("conv_kernel", "prototype")  # kernels that multiply matrices
SPARSE = ("crop_resize", "noise")  # one reads single pixels here and there, the other next to nothing
FILTERS = ("upfirdn2d",)  # loads of a plane start at any pixel, its stores do not


def wrong(kernel: Compiled) -> list[str]:
    """Return which rules a compiled kernel breaks."""
    found = []
    if kernel.local_bytes:
        found.append(f"{kernel.local_bytes} bytes of local memory")
    if kernel.count(r"\b(DADD|DMUL|DFMA|F2F\.F64)"):
        found.append("float64 arithmetic")
    if kernel.shared_bytes > SHARED_BYTES[kernel.arch] - 1024:
        found.append(f"{kernel.shared_bytes} bytes of shared memory")
    wide = r"\b(LDG(STS)?|STG)\S*\.128" if kernel.kernel.startswith(FILTERS) else r"\bLDG(STS)?\S*\.128"
    if not kernel.kernel.startswith(SPARSE) and not kernel.count(wide):
        found.append("no 16-byte accesses")
    half = kernel.types[0] in ("*fp16", "*bf16")
    if kernel.kernel.startswith(PRODUCTS) and half and not kernel.count(r"\b(HMMA|HGMMA)"):
        found.append("no matrix instructions")
    return found


def rows(arch: int) -> list[dict[str, Any]]:
    """Compile every call of the cases for one architecture."""
    seen, found = set(), []
    names = sorted(path.stem for path in (Path(__file__).parent / "cases").glob("[a-z]*.py"))
    for module in (import_module(f"cases.{name}") for name in names):
        for call, run in module.COMPILED:
            for dtype in DTYPES:
                with compile_for(arch) as compiled:
                    run(dtype)
                for kernel in compiled:
                    key = kernel.kernel, kernel.types, str(kernel.constants)
                    if key in seen:
                        continue
                    seen.add(key)
                    found.append(
                        {
                            "call": call,
                            "kernel": kernel.kernel,
                            "dtype": str(dtype).removeprefix("torch."),
                            "arch": arch,
                            "triton": triton.__version__,
                            "warps": kernel.warps,
                            "registers": kernel.registers,
                            "shared_bytes": kernel.shared_bytes,
                            "resident_warps": kernel.resident_warps,
                            "wrong": wrong(kernel),
                        }
                    )
    return found


if __name__ == "__main__":
    found = rows(int(sys.argv[1]))
    for row in found:
        print(json.dumps(row))
    if any(row["wrong"] for row in found):
        sys.exit("expected kernels that break no rule, got the above with something wrong")
