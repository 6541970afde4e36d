"""Where Triton kernels are started, and how each is cut: a pure function of (kernel, size, dtype, architecture)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """One row of the launch table.

    Args:
        kernel: name of the kernel.
        blocks: its block sizes, the values of those constants.
        warps: warps of a program.
        stages: depth of the software pipeline.
        arch: smallest compute capability that takes the row, 80 or 90.
        bits: largest bits of an element that take the row.
        size: smallest size that takes the row; each op says what it counts.
        source: "static", or "measured:GPU,triton,commit".
    """

    kernel: str
    blocks: dict[str, int] = field(hash=False)
    warps: int = 4
    stages: int = 1
    arch: int = 80
    bits: int = 64
    size: int = 0
    source: str = "static"


# On which commit a row was measured: the first kernels, an epilogue whose noise is drawn before it, the present ones.
_H200_FIRST = "measured:NVIDIA H200,triton 3.6,adae41b"
_H200_EPILOGUE = "measured:NVIDIA H200,triton 3.6,869f473"
_H200 = "measured:NVIDIA H200,triton 3.6,9d159e0"

# The first row that takes a launch is used.
TABLE = (
    # Pointwise: 16 bytes a thread and tensor in one access, two or four of them in flight.
    Row("bias_act_kernel", {"BLOCK": 4096}, bits=16, source=_H200_FIRST),
    Row("bias_act_kernel", {"BLOCK": 1024}),
    # Likewise with four in flight: what is pointwise gained by that on an H200.
    Row("channelwise_kernel", {"BLOCK": 4096}, bits=16),
    Row("channelwise_kernel", {"BLOCK": 2048}),
    # Runs of four times BLOCK normals.
    Row("noise_kernel", {"BLOCK": 256}),
    # Tiles of pixels and channels, the longer side along what lies together in memory: 32 values a thread. With a
    # low-pass 16, whose taps are loads of their own and would not fit the registers otherwise, and square tiles: 16 by
    # 16 pixels read 19 by 19.
    Row("epilogue_kernel", {"BLOCK_P": 512, "SIDE": 0, "BLOCK_C": 4}),
    Row("epilogue_kernel_low_pass", {"BLOCK_P": 1024, "SIDE": 64, "BLOCK_C": 2}),
    Row("epilogue_kernel_channels_last", {"BLOCK_P": 64, "SIDE": 16, "BLOCK_C": 64}, size=33, source=_H200_EPILOGUE),
    Row("epilogue_kernel_channels_last", {"BLOCK_P": 128, "SIDE": 16, "BLOCK_C": 32}),
    Row(
        "epilogue_kernel_channels_last_colours",
        {"BLOCK_P": 64, "SIDE": 16, "BLOCK_C": 64},
        bits=16,
        size=33,
        source=_H200,
    ),
    Row("epilogue_kernel_channels_last_colours", {"BLOCK_P": 128, "SIDE": 16, "BLOCK_C": 32}, bits=16),
    Row("epilogue_kernel_channels_last_colours", {"BLOCK_P": 64, "SIDE": 16, "BLOCK_C": 32}),
    Row("epilogue_kernel_channels_last_low_pass", {"BLOCK_P": 256, "SIDE": 16, "BLOCK_C": 16}, warps=8),
    # Strips of rows: 8 values a thread and row; three more rows are read above.
    Row("strip_kernel", {"STEPS": 32, "SIDE": 8, "BLOCK_C": 64}, warps=2, bits=16, size=33, source=_H200),
    Row("strip_kernel", {"STEPS": 32, "SIDE": 16, "BLOCK_C": 64}, size=33),
    Row("strip_kernel", {"STEPS": 32, "SIDE": 32, "BLOCK_C": 32}),
    Row("upfirdn2d_kernel", {"BLOCK_P": 1024, "SIDE": 64, "BLOCK_C": 1}),
    Row(
        "upfirdn2d_kernel_channels_last",
        {"BLOCK_P": 64, "SIDE": 8, "BLOCK_C": 64},
        warps=8,
        bits=16,
        size=33,
        source=_H200_FIRST,
    ),
    Row(
        "upfirdn2d_kernel_channels_last_up",
        {"BLOCK_P": 128, "SIDE": 16, "BLOCK_C": 64},
        bits=16,
        size=33,
        source=_H200_FIRST,
    ),
    *(
        Row(kernel, {"BLOCK_P": 256, "SIDE": 16, "BLOCK_C": 16}, warps=8)
        for kernel in ("upfirdn2d_kernel_channels_last", "upfirdn2d_kernel_channels_last_up")
    ),
    # Columns of a strip: 8 values a thread, of whose filtered rows up to three are under way.
    Row("upfirdn2d_strip_kernel", {"BLOCK_P": 256, "BLOCK_C": 1}, warps=1),
    Row("upfirdn2d_strip_kernel_channels_last", {"BLOCK_P": 16, "BLOCK_C": 64}, bits=16, size=33, source=_H200),
    Row("upfirdn2d_strip_kernel_channels_last", {"BLOCK_P": 32, "BLOCK_C": 64}, warps=8, size=33),
    Row("upfirdn2d_strip_kernel_channels_last", {"BLOCK_P": 32, "BLOCK_C": 32}),
    # Pixels of a result, and planes that share their tables.
    Row("crop_resize_kernel", {"BLOCK_P": 256, "BLOCK_C": 4}, arch=90, source=_H200_FIRST),
    Row("crop_resize_kernel", {"BLOCK_P": 256, "BLOCK_C": 2}),
    # Whether a layer's convolution is the library's (0) or `conv_kernel` (1); 1 stands in measured rows alone.
    Row("modulated_conv2d", {"IMPLICIT": 0}),
    # The implicit matrix product: 128 pixels by 64 or 128 channels, and chunks of 64 bytes of the inputs.
    # (128 channels would not fit the registers of an H100 beside what follows the product.)
    Row("conv_kernel", {"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64}, warps=8, stages=3, arch=90, bits=16, size=65),
    Row("conv_kernel", {"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 32}, warps=8, stages=3, bits=16, size=65),
    Row("conv_kernel", {"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 32}, warps=4, stages=3, bits=16),
    Row("conv_kernel", {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 16}, warps=4, stages=2),
    # Rows of embeddings: 16 values a thread and tensor (8 of short rows, 32 of the measured row, whose sums stay within
    # a warp), all of a row up to 4096 at once.
    *(
        Row(kernel, {"BLOCK_N": rows, "BLOCK_D": columns}, warps=warps, size=columns // 2 + 1)
        for kernel in ("embedding_loss_kernel", "embedding_loss_backward_kernel")
        for rows, columns, warps in ((1, 4096, 8), (1, 2048, 4), (2, 1024, 4))
    ),
    Row("embedding_loss_kernel", {"BLOCK_N": 2, "BLOCK_D": 512}, warps=1, bits=16, size=257, source=_H200_FIRST),
    *(
        Row(kernel, {"BLOCK_N": rows, "BLOCK_D": columns}, warps=4, size=columns // 2 + 1 if columns > 128 else 0)
        for kernel in ("embedding_loss_kernel", "embedding_loss_backward_kernel")
        for rows, columns in ((4, 512), (8, 256), (8, 128))
    ),
    # Rows by prototypes, and chunks of 64 or 128 bytes of their values. The gradient of a row block stays in registers,
    # COLUMNS wide: with more values a row than that, the logits are computed once for every such part.
    Row(
        "prototype_loss_kernel",
        {"BLOCK_M": 64, "BLOCK_N": 128, "BLOCK_K": 64},
        warps=8,
        stages=3,
        arch=90,
        bits=16,
        source=_H200_FIRST,
    ),
    Row("prototype_loss_kernel", {"BLOCK_M": 64, "BLOCK_N": 128, "BLOCK_K": 32}, warps=8, stages=3, bits=16),
    Row("prototype_loss_kernel", {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 16}, warps=8, stages=2),
    *(
        Row(
            "prototype_loss_backward_kernel",
            {"BLOCK_M": block, "BLOCK_N": 32, "BLOCK_K": depth, "COLUMNS": columns},
            warps=8,
            stages=stages,
            bits=bits,
            size=columns // 2 + 1 if columns > 128 else 0,
        )
        for bits, block, depth, stages in ((16, 64, 64, 2), (64, 32, 16, 1))
        for columns in (512, 256, 128)
    ),
    # Prototypes by rows, likewise: 64 rows of a half format at once, beside which 512 columns would not fit the
    # registers, nor 64 prototypes those of an A100.
    *(
        Row(
            "prototype_loss_bank_kernel",
            {"BLOCK_M": block, "BLOCK_N": rows, "BLOCK_K": depth, "COLUMNS": columns},
            warps=8,
            stages=stages,
            arch=arch,
            bits=bits,
            size=columns // 2 + 1 if columns > 128 else 0,
        )
        for arch, bits, block, rows, depth, stages, widest in (
            (90, 16, 64, 64, 64, 3, 256),
            (80, 16, 32, 64, 64, 3, 256),
            (80, 64, 32, 32, 16, 1, 512),
        )
        for columns in (512, 256, 128)
        if columns <= widest
    ),
    Row("prototype_loss_merge_kernel", {"BLOCK": 32}),
    Row("prototype_loss_merge_gradient_kernel", {"BLOCK": 1024}),
)


def config(kernel: str, *, size: int, bits: int, arch: int) -> Row:
    """Return how a kernel is cut.

    Args:
        kernel: its name.
        size: what the op counts, at least 0.
        bits: of an element of the widest large tensor.
        arch: compute capability of the device, e.g. 90.

    Raises:
        LookupError: for a kernel that is not in the table.
    """
    for row in TABLE:
        if row.kernel == kernel and size >= row.size and bits <= row.bits and row.arch <= arch:
            return row
    raise LookupError(f"{kernel}: no row of the launch table takes size={size}, bits={bits}, arch={arch}")


def arch_of(device: torch.device) -> int:
    """Return the compute capability of a device, 80 for what only stands for one."""
    if device.type != "cuda":
        return 80
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, row: Row, **constants: Any) -> None:
    """Start a kernel on the device of its tensors, cut as ``row`` says; an empty grid starts nothing."""
    if 0 in grid:
        return
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    options = {**constants, **row.blocks, "num_warps": row.warps, "num_stages": row.stages}
    options["enable_fp_fusion"] = True  # Triton's default, which is to change: said here so that numbers do not
    if device.type == "cuda" and device.index != torch.cuda.current_device():
        with torch.cuda.device(device):
            kernel[grid](*arguments, **options)
    else:
        kernel[grid](*arguments, **options)
