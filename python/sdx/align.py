"""From a frame to a network's input: the fixed crops of the field, and the five-point warp for photographs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdx.errors import DataError
from sdx.types import WHOLE, Box, Frame, InputSpec
from sdx_kernels import crop_resize

FRAMES: dict[Frame, Box] = {
    "aligned": WHOLE,
    # SynthDistill's crop of an FFHQ frame: rows 21 to 234 and columns 22 to 235 of 256, which puts the eyes where
    # ArcFace's template has them.
    "ffhq": (21 / 256, 22 / 256, 234 / 256, 235 / 256),
}
"""The box of the aligned face within each kind of frame."""

ARCFACE_TEMPLATE: tuple[tuple[float, float], ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""(x, y) in pixels of a 112 x 112 face: eyes left and right in the image, tip of the nose, corners of the mouth."""


def compose(outer: Box, inner: Box) -> Box:
    """Return the box ``inner``, given in fractions of ``outer``, in fractions of what ``outer`` is given in."""
    top, left, bottom, right = outer
    height, width = bottom - top, right - left
    return (top + inner[0] * height, left + inner[1] * width, top + inner[2] * height, left + inner[3] * width)


def view(face: Tensor, frame: Frame, spec: InputSpec) -> Tensor:
    """Return what a network with ``spec`` sees of ``face``.

    One bilinear crop-and-resize without antialiasing, as SynthDistill has it, then channel order, scale and shift; a
    whole frame of the right size is not resampled.

    Args:
        face: float32 [B, 3, S, S], RGB in [-1, 1]; gradients flow through.
        frame: how the face sits in its image.
        spec: the network's input.

    Returns:
        float32 [B, 3, spec.size, spec.size]; ``face`` itself where nothing is to be done.
    """
    box = compose(FRAMES[frame], spec.crop)
    if box != WHOLE or face.shape[-2:] != (spec.size, spec.size):
        face = crop_resize(face, spec.size, box=box)
    if spec.order == "BGR":
        face = face.flip(1)
    if spec.scale != 1.0:
        face = face * spec.scale
    if spec.shift != 0.0:
        face = face + spec.shift
    return face


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation, one scale and translation that carry ``source`` nearest to ``target`` (Umeyama, PAMI 1991).

    Args:
        source: float64 [N, 2], (x, y).
        target: float64 [N, 2].

    Returns:
        float64 [2, 3]: target ~ source @ M[:, :2].T + M[:, 2]. Raises DataError for source points
        that coincide, are not finite, or fit no such map.
    """
    if not np.isfinite(source).all():
        raise DataError(f"expected finite landmarks, got {source.tolist()}: skip this image")
    centre_source, centre_target = source.mean(0), target.mean(0)
    spread = source - centre_source
    variance = float((spread**2).sum())
    if variance < 1e-12:
        raise DataError(f"expected distinct landmarks, got {source.tolist()}: skip this image")
    u, singular, vt = np.linalg.svd((target - centre_target).T @ spread)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])  # a mirror image is no rotation
    scale = float(singular @ sign) / variance
    if scale < 1e-9:
        raise DataError(f"expected landmarks that look like the target, got {source.tolist()}: skip this image")
    linear = (u * sign) @ vt * scale
    return np.column_stack([linear, centre_target - linear @ centre_source])


def warp(image: Tensor, landmarks: NDArray[np.float64], size: int) -> Tensor:
    """Return the aligned face of a photograph: five landmarks carried onto ArcFace's template, bilinear, border -1.

    Args:
        image: float32 [3, H, W], RGB in [-1, 1].
        landmarks: float64 [5, 2], (x, y) in pixels, in the order of `ARCFACE_TEMPLATE`; the centre of the first pixel
            is (0, 0).
        size: side of the result; the template scales with it, pixel centres at whole numbers, as InsightFace does.

    Returns:
        float32 [3, size, size]. Raises DataError for landmarks that are not five distinct finite points.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2):
        raise DataError(f"expected five landmarks (x, y), got an array of shape {list(points.shape)}")
    target = np.array(ARCFACE_TEMPLATE) * (size / 112)
    matrix = similarity(points, target)
    inverse = np.linalg.inv(matrix[:, :2])
    y, x = np.mgrid[0:size, 0:size]
    where = (np.stack([x, y], -1) - matrix[:, 2]) @ inverse.T
    height, width = image.shape[-2:]
    grid = torch.from_numpy((2 * where + 1) / (width, height) - 1).to(image)
    # zero padding on (image + 1) is a border of -1, black
    sampled = torch.nn.functional.grid_sample(image[None] + 1, grid[None], align_corners=False)[0]
    return sampled - 1
