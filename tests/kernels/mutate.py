"""Plants faults into the kernels, one at a time, and asks whether the tests notice: `python tests/kernels/mutate.py`.

Prints one line for each fault and fails where more than two survive. Numbers choose faults: `mutate.py 3 17`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_SURVIVORS = 2
_TESTS = {
    "bias_act": ("test_evidence.py", "test_addresses.py", "test_bias_act.py"),
    "upfirdn2d": ("test_evidence.py", "test_addresses.py", "test_upfirdn2d_triton.py"),
    "crop_resize": ("test_evidence.py", "test_addresses.py", "test_crop_resize_triton.py"),
    "modulated_conv2d": (
        "test_evidence.py",
        "test_addresses.py",
        "test_strip_kernel.py",
        "test_modulated_conv2d_triton.py",
    ),
    "embedding_loss": ("test_evidence.py", "test_addresses.py", "test_embedding_loss_triton.py"),
    "prototype_loss": ("test_evidence.py", "test_addresses.py", "test_prototype_loss_triton.py"),
    "channelwise": ("test_evidence.py", "test_addresses.py", "test_channelwise.py"),
}


@dataclass(frozen=True)
class Fault:
    """One change of one file.

    Args:
        op: whose tests are asked.
        what: in words.
        path: of the file within sdx_kernels.
        old: text that is there once.
        new: what takes its place.
    """

    op: str
    what: str
    path: str
    old: str
    new: str


def _faults(op: str, path: str, *changes: tuple[str, str, str]) -> list[Fault]:
    return [Fault(op, what, f"{op}/{path}", old, new) for what, old, new in changes]


FAULTS = [
    *_faults(
        "bias_act",
        "kernel.py",
        ("load without its mask", "x + start + lane, mask=inside, other=0.0", "x + start + lane"),
        ("store without its mask", "y.to(out.dtype.element_ty), mask=inside", "y.to(out.dtype.element_ty)"),
        ("channel by the wrong stride", "(at + lane) % period // step", "(at + lane) % step"),
        ("channel of a program's first element", "(start % PERIOD).to(tl.int32) + lane", "lane"),
        ("gradient at the clamp", "tl.abs(y) < clamp", "tl.abs(y) <= clamp"),
        ("32-bit offset", "tl.program_id(0).to(tl.int64) * BLOCK", "tl.program_id(0) * BLOCK"),
        ("bias skipped", "v += tl.load(bias + channel", "v += 0.0 * tl.load(bias + channel"),
        ("curvature of swish", "(2.0 + v * _falling(v))", "(1.0 + v * _falling(v))"),
    ),
    *_faults(
        "upfirdn2d",
        "kernel.py",
        ("padding + 1", "row * DOWN_Y - top", "row * DOWN_Y - top - 1"),
        ("wrong phase", "(shift_x + 1) * UP_X - 1)", "(shift_x + 1) * UP_X)"),
        ("row by the column's stride", "at = y.to(tl.int64) * x_y", "at = y.to(tl.int64) * x_x"),
        ("filter turned", "if not FLIP:", "if FLIP:"),
        ("border one pixel late", "(c < in_width)", "(c <= in_width)"),
        ("gain skipped", "(z * gain)", "z"),
        ("32-bit offset", "(program // (tiles * groups)).to(tl.int64)", "program // (tiles * groups)"),
    ),
    *_faults(
        "upfirdn2d",
        "strip_kernel.py",
        ("padding + 1", "row = start * DOWN - top", "row = start * DOWN - top - 1"),
        ("padding - 1", "first = column * DOWN - left", "first = column * DOWN - left + 1"),
        ("tap skipped", "for tap in tl.static_range(TAPS):", "for tap in tl.static_range(TAPS - 1):"),
        ("filtered row skipped", "z0 = z1 + w2 * h", "z0 = z1"),
        ("phases exchanged", "& 1) != 0", "& 1) == 0"),
        ("load without its left border", "(first + tap >= 0) & ", ""),
        ("load without its lower border", "(row >= 0) & (row < in_height)", "row >= 0"),
        ("pairs' first row stored", "tl.where(y >= 0, end, 0)", "end"),
        ("last strip too long", "min(length, total - start)", "length"),
        ("primed from the strip above", "begin - PRIMING * UP", "begin"),
        ("32-bit offset of an image", "(tile // across // strips).to(tl.int64)", "tile // across // strips"),
        ("32-bit offset of a row", "row.to(tl.int64) * x_y", "row * x_y"),
    ),
    *_faults(
        "upfirdn2d",
        "strip.py",
        ("pairs from row 0", "(height - top % 2) // 2 + 1", "(height + 1) // 2"),
    ),
    *_faults(
        "upfirdn2d",
        "autograd.py",
        ("padding of the derivative + 1", "first = taps - 1 - before", "first = taps - before"),
    ),
    *_faults(
        "crop_resize",
        "kernel.py",
        ("column of a tap", "x = first_x + tap % REACH_X", "x = first_x + tap // REACH_X"),
        ("clamp skipped", "value = limited(value, clamp)", "value += 0.0"),
        ("gradient beyond the clamp", "tl.abs(value) <= clamp", "tl.abs(value) <= 2 * clamp"),
        ("wrong neighbour of the coarser part", "(tap // 2) * (y % 2 * 2 - 1)", "(tap // 2) * (1 - y % 2 * 2)"),
        ("place of a size", "segments + 4 * s + 3), place)", "segments + 4 * s + 3) * 0, place)"),
        (
            "rows of the coarser part by its columns' stride",
            "source_y.to(tl.int64) * skip_y",
            "source_y.to(tl.int64) * skip_x",
        ),
        (
            "32-bit place",
            "place + (plane * side * side)[None, :] + pixel[:, None]",
            "place + (plane.to(tl.int32) * side.to(tl.int32) * side.to(tl.int32))[None, :] + pixel[:, None]",
        ),
        ("pixels of weight 0 are read", "(weight_x != 0)\n        y =", "valid\n        y ="),
    ),
    *_faults(
        "crop_resize",
        "autograd.py",
        ("order of a second derivative", "direction = layout.like(direction, image)", "direction = direction.clone()"),
        (
            "filter of the coarser part's gradient",
            "[1, 1, 2, 2], [1, 1, 1, 1], True",
            "[1, 1, 2, 2], [2, 0, 1, 1], True",
        ),
    ),
    *_faults(
        "modulated_conv2d",
        "kernel.py",
        ("dcoef of the first image", "tl.load(dcoef + n * channels + channel,", "tl.load(dcoef + channel,"),
        ("noise skipped", "z += grain[:, None]", "z += 0.0 * grain[:, None]"),
        ("padding of the low-pass + 1", "row + (tap // TAPS_X - pad_y)", "row + (tap // TAPS_X - pad_y + 1)"),
        ("noise of a part from its start", "number = start + row.to(tl.int64)", "number = row.to(tl.int64)"),
        ("styles of the first image", "tl.load(rgb_styles + n * channels + channel", "tl.load(rgb_styles + channel"),
        ("colours without their clamp", "colours = limited(colours, rgb_clamp)", "colours += 0.0"),
    ),
    *_faults(
        "modulated_conv2d",
        "conv_kernel.py",
        ("padding of the convolution + 1", "row + (tap_y - PAD)", "row + (tap_y - PAD + 1)"),
        ("phase skipped", "(FIRST_Y + UP * tap_y) * KERNEL_X", "(UP * tap_y) * KERNEL_X"),
        (
            "strides of the weight swapped",
            "(input.to(tl.int64) * weight_i)[:, None] + (output.to(tl.int64) * weight_o)[None, :]",
            "(input.to(tl.int64) * weight_o)[:, None] + (output.to(tl.int64) * weight_i)[None, :]",
        ),
        ("row beyond its image", "row = line - beyond * height", "row = line"),
        ("32-bit place of a pixel", "first = start // width", "first = start.to(tl.int32) // width"),
    ),
    *_faults(
        "modulated_conv2d",
        "strip_kernel.py",
        ("filtered row skipped", " + lowest * down_d", ""),
        ("tap without its border", "mask=b & known", "mask=known"),
        ("tap without the image's upper and lower borders", "mask=d & known", "mask=d"),
        ("padding + 1", "line = top - pad_y", "line = top - pad_y + 1"),
        ("padding - 1", "first = column - pad_x", "first = column - pad_x + 1"),
        ("rows rotated wrongly", "above = middle\n            middle", "above = below\n            middle"),
        ("last row stored without its mask", "mask=mask & inside", "mask=mask"),
        ("32-bit offset of an image", "(program // (tiles * groups)).to(tl.int64)", "program // (tiles * groups)"),
        ("32-bit offset of a row", "source + tl.cast(row, tl.int64) * y_y", "source + row * y_y"),
    ),
    *_faults(
        "modulated_conv2d",
        "tiles.py",
        (
            "strips one row short",
            "across * -(-height // steps), groups, 1)",
            "across * -((1 - height) // steps), groups, 1)",
        ),
    ),
    *_faults(
        "modulated_conv2d",
        "../random_kernel.py",
        ("run from the image's start", "(first >> 2) + program", "(start >> 2) + program"),
        ("run from a block's start", "(block << 2) - first +", "(block << 2) - (first & -4) +"),
        ("part by its number", "program % parts * BLOCK", "program % parts"),
        ("words exchanged", "tl.interleave(_normal(a), _normal(c))", "tl.interleave(_normal(c), _normal(a))"),
        ("stored before a run", "mask=(place >= 0) & (place < length)", "mask=place < length"),
        ("stored beyond a run", "mask=(place >= 0) & (place < length)", "mask=place >= 0"),
        ("32-bit offset", "program = tl.program_id(0).to(tl.int64)", "program = tl.program_id(0)"),
    ),
    *_faults(
        "embedding_loss",
        "kernel.py",
        ("smallest norm skipped", "tl.where(norm < _SMALLEST_NORM, _SMALLEST_NORM, norm)", "norm"),
        ("norm of the other side", "norms + n + row, mask=inside, other=1.0", "norms + row, mask=inside, other=1.0"),
        ("factor of the square", "(2.0 * mse)", "mse"),
        (
            "32-bit offset",
            "inside = row < n\n    student +=",
            "inside = row < n\n    row = row.to(tl.int32)\n    student +=",
        ),
    ),
    *_faults(
        "prototype_loss",
        "kernel.py",
        ("sum not scaled again", "total = total * tl.exp(fall) +", "total = total +"),
        ("absent prototypes count", "tl.where(known[None, :], tl.exp(below), 0.0)", "tl.exp(below)"),
        ("lift left in", "factor / LIFT * gradient", "factor * gradient"),
        ("split beyond the bank", "lane < tl.where(split < splits, left, 0)", "lane < left"),
    ),
    *_faults(
        "prototype_loss",
        "bank_kernel.py",
        ("rows of a split's first tile alone", "split * TILES + tile", "split * TILES"),
        ("normaliser of the other side", "normalisers + rows + row", "normalisers + row"),
        ("row by the bank's stride", "(row * student_n)[:, None]", "(row * bank_n)[:, None]"),
        ("label of another prototype", "prototype[:, None] == label", "prototype[:, None] + 1 == label"),
        ("values of absent rows", "mask=inside[:, None] & present[None, :]", "mask=present[None, :]"),
        ("lift left in", "factor / LIFT", "factor"),
        ("upstream skipped where nothing is merged", "share * tl.load(upstream).to(tl.float32)", "share"),
        ("32-bit offset of a prototype", "tl.program_id(0).to(tl.int64) * BLOCK_M", "tl.program_id(0) * BLOCK_M"),
        ("32-bit offset of a row", "split = tl.program_id(1).to(tl.int64)", "split = tl.program_id(1)"),
    ),
    *_faults(
        "prototype_loss",
        "autograd.py",
        ("small probabilities not lifted", "_LIFT = 32768.0", "_LIFT = 1.0"),
    ),
    *_faults(
        "channelwise",
        "kernel.py",
        ("load without its mask", "x + start + lane, mask=inside, other=0.0", "x + start + lane"),
        ("store without its mask", "v.to(out.dtype.element_ty), mask=inside", "v.to(out.dtype.element_ty)"),
        ("channel by the lane alone", "at = start % CHANNELS", "at = start * 0"),
        ("slope above 0", "tl.where(v > 0, v, v *", "tl.where(v < 0, v, v *"),
        ("32-bit offset", "tl.program_id(0).to(tl.int64) * BLOCK", "tl.program_id(0) * BLOCK"),
    ),
]


def _caught(fault: Fault) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "sdx_kernels"
        shutil.copytree(ROOT / "kernels" / "sdx_kernels", package, ignore=shutil.ignore_patterns("__pycache__"))
        path = package / fault.path
        text = path.read_text()
        if text.count(fault.old) != 1:
            raise SystemExit(f"{fault.path}: expected {fault.old!r} once, got {text.count(fault.old)} times")
        path.write_text(text.replace(fault.old, fault.new))
        environment = os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        tests = [str(ROOT / "tests" / "kernels" / name) for name in _TESTS[fault.op]]
        words = f"{fault.op} or styled_layer" if fault.op == "modulated_conv2d" else fault.op
        chosen = ["-k", f"{words} or not test_evidence"]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *chosen, *tests]
        code = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode
        if code in (2, 3, 4, 5):  # of pytest itself, which then has tested nothing
            raise SystemExit(f"{fault.op}, {fault.what}: expected tests that run, got exit code {code} of pytest")
        return code != 0


def main() -> None:
    """Plant all faults, or those whose numbers are given."""
    numbers = [int(number) for number in sys.argv[1:]] or list(range(len(FAULTS)))
    chosen = [FAULTS[number] for number in numbers]
    # Tests that fail by themselves would catch everything.
    controls = {fault.op: replace(fault, new=fault.old) for fault in chosen}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = [op for op, failed in zip(controls, pool.map(_caught, controls.values()), strict=True) if failed]
        if broken:
            raise SystemExit(f"expected tests that pass without a fault, got failures of {', '.join(broken)}")
        caught = list(pool.map(_caught, chosen))
    for number, found in zip(numbers, caught, strict=True):
        fault = FAULTS[number]
        print(f"{number:2} {'caught  ' if found else 'SURVIVED'} {fault.op}: {fault.what}")
    survivors = len(caught) - sum(caught)
    print(f"{sum(caught)} of {len(caught)} caught")
    if survivors > MOST_SURVIVORS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
