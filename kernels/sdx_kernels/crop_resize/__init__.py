"""Crop by a float box and resize in one step."""

from __future__ import annotations

from torch import Tensor

from sdx_kernels import dispatch, layout
from sdx_kernels.crop_resize.reference import crop_resize_reference

__all__ = ["crop_resize"]


def crop_resize(
    image: Tensor,
    size: int,
    *,
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    antialias: bool = False,
    clamp: float | None = None,
    impl: dispatch.Impl = "auto",
) -> Tensor:
    """Return the box of each image, resized bilinearly to a square (align_corners=False).

    With a crop [t, b) in pixels, output row i reads the source at ``t + (i + 0.5) * (b - t) / size - 0.5``, kept within
    [t, b - 1]; columns alike. For a box on whole pixels that is `torch.nn.functional.interpolate` of the slice, so
    SynthDistill's crop (rows 21:234, columns 22:235 of 256, to 112) is met exactly; in between it is continuous.

    Args:
        image: float16, bfloat16, float32 or float64 [N, C, H, W], any strides; channels_last is kept.
            Gradients of any order flow through (the op is linear, apart from ``clamp``).
        size: side of the result in pixels.
        box: (top, left, bottom, right) in fractions of height and width, 0 <= top < bottom <= 1, likewise left, right.
        antialias: widen the triangle filter by the scale when shrinking, over the pixels whose centre is in the box.
        clamp: first limit values to [-clamp, clamp].
        impl: see `sdx_kernels.backend`.

    Returns:
        [N, C, size, size] in the image's dtype, never the image itself; accumulated in float32 or better.

    Raises:
        KernelError: for another rank or dtype, an image without pixels, a size below 1, a box that is empty or leaves
            the image, or a Triton implementation, which this version does not have.
    """
    dispatch.runs_triton("crop_resize", impl, image=image)
    if image.ndim != 4 or image.dtype not in layout.DTYPES or 0 in image.shape[2:]:
        raise dispatch.KernelError(
            "crop_resize: expected a floating-point image [N, C, H, W] with pixels, "
            f"got {image.dtype} {list(image.shape)}"
        )
    if not (isinstance(size, int) and size >= 1):
        raise dispatch.KernelError(f"crop_resize: expected a whole size >= 1, got {size!r}")
    top, left, bottom, right = box
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise dispatch.KernelError(
            f"crop_resize: expected box (top, left, bottom, right) ordered within [0, 1], got {box}"
        )
    if clamp is not None and not clamp > 0:
        raise dispatch.KernelError(f"crop_resize: expected clamp > 0 or None, got {clamp}")
    return crop_resize_reference(image, size, box, antialias, clamp)
