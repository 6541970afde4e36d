"""Crop by a float box and resize in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from torch import Tensor

from sdx_kernels import arguments, dispatch, layout
from sdx_kernels.crop_resize.autograd import faces, forward
from sdx_kernels.crop_resize.reference import crop_resize_reference

__all__ = ["crop_resize"]

Box = tuple[float, float, float, float]


@overload
def crop_resize(
    image: Tensor,
    size: int,
    *,
    box: Box = ...,
    antialias: bool = ...,
    clamp: float | None = ...,
    skip: Tensor | None = ...,
    impl: dispatch.Impl = ...,
) -> Tensor: ...
@overload
def crop_resize(
    image: Tensor,
    size: Sequence[int],
    *,
    box: Box = ...,
    antialias: bool = ...,
    clamp: float | None = ...,
    skip: Tensor | None = ...,
    impl: dispatch.Impl = ...,
) -> tuple[Tensor, ...]: ...
def crop_resize(
    image: Tensor,
    size: int | Sequence[int],
    *,
    box: Box = (0.0, 0.0, 1.0, 1.0),
    antialias: bool = False,
    clamp: float | None = None,
    skip: Tensor | None = None,
    impl: dispatch.Impl = "auto",
) -> Tensor | tuple[Tensor, ...]:
    """Return the box of each image, resized bilinearly to a square (align_corners=False), or to several.

    With a crop [t, b) in pixels, output row i reads the source at ``t + (i + 0.5) * (b - t) / size - 0.5``, kept within
    [t, b - 1]; columns alike. For a box on whole pixels that is `torch.nn.functional.interpolate` of the slice, so
    SynthDistill's crop (rows 21:234, columns 22:235 of 256, to 112) is met exactly; in between it is continuous.

    Args:
        image: float16, bfloat16, float32 or float64 [N, C, H, W], any strides; channels_last is kept.
            Gradients of any order flow through (the op is linear, apart from ``clamp``).
        size: side of the result in pixels; several give several results of one pass. On Triton those are parts of one
            piece of memory: changing one in place counts as changing all, and keeping one keeps all. The first call
            with a size and a box makes their tables; call once before a CUDA graph is captured.
        box: (top, left, bottom, right) in fractions of height and width, 0 <= top < bottom <= 1, likewise left, right.
        antialias: widen the triangle filter by the scale when shrinking, over the pixels whose centre is in the box.
        clamp: first limit values to [-clamp, clamp].
        skip: the image's coarser part in its dtype, [N, C, H / 2, W / 2], upsampled by 2 with the filter [1, 3, 3, 1]
            and added before the clamp, as StyleGAN2 adds up its colours (Karras et al. 2020). Under autocast it may
            have another dtype: the wider one then counts for both.
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, C, size, size] in the image's dtype, never the image itself, or a tuple of them; accumulated in float32 or
        better.

    Raises:
        KernelError: for another rank or dtype, an image without pixels, a size below 1, a box that is empty or leaves
            the image, a skip that does not fit, or Triton where it cannot run.
    """
    triton = dispatch.runs_triton("crop_resize", impl, image=image, skip=skip)
    image, skip = layout.promoted(image, skip)
    if image.ndim != 4 or image.dtype not in layout.DTYPES or 0 in image.shape[2:]:
        raise dispatch.KernelError(
            "crop_resize: expected a floating-point image [N, C, H, W] with pixels, "
            f"got {image.dtype} {list(image.shape)}"
        )
    sizes = (size,) if isinstance(size, int) else tuple(size) if isinstance(size, Sequence) else ()
    if not sizes or not all(type(each) is int and each >= 1 for each in sizes):
        raise dispatch.KernelError(f"crop_resize: expected a whole size >= 1, or several, got {size!r}")
    if not isinstance(box, (tuple, list)) or [isinstance(edge, (int, float)) for edge in box] != [True] * 4:
        raise dispatch.KernelError(f"crop_resize: expected box as four numbers (top, left, bottom, right), got {box!r}")
    top, left, bottom, right = box
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise dispatch.KernelError(
            f"crop_resize: expected box (top, left, bottom, right) ordered within [0, 1], got {box}"
        )
    clamp = arguments.limit("crop_resize", clamp)
    n, channels, height, width = image.shape
    if skip is not None:
        half = [n, channels, height // 2, width // 2]
        if height % 2 or width % 2 or list(skip.shape) != half or skip.dtype != image.dtype:
            raise dispatch.KernelError(
                f"crop_resize: expected skip {image.dtype} at half of even sides of the image {list(image.shape)}, "
                f"got {skip.dtype} {list(skip.shape)}"
            )
    results: tuple[Tensor, ...]
    if triton:
        results = faces(forward(image, skip, sizes, box, antialias, clamp), image, sizes)
    else:
        results = tuple(crop_resize_reference(image, each, box, antialias, clamp, skip) for each in sizes)
    dispatch.checked("crop_resize", *results)
    return results[0] if isinstance(size, int) else results
