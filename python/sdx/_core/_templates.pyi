"""Templates of images."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

def aggregate_templates(
    embedding: NDArray[np.float32],
    template: NDArray[np.int64],
    media: NDArray[np.int64],
    count: int,
    *,
    norm_weighting: bool,
    flip: Literal["none", "sum", "concat"],
    mirrored: NDArray[np.float32] | None = None,
    halves: bool = False,
    detector_score: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return unit vectors, float32 [count, width], of templates as IJB-B and IJB-C make them from N images.

    `embedding` float32 [N, D], raw; `template` int64 [N] in [0, count), each of them there; `media` int64 [N], any
    number. Each image's embedding is joined with that of its mirror image (`flip`: left out, their sum, or one behind
    the other; they are `mirrored`, float32 [N, D], or with `halves` the second half of each row), divided by its length
    unless `norm_weighting`, and multiplied by `detector_score`, float32 [N], at least 0, where there is one; mean over
    the images of a medium, sum over the media of a template, unit length. Sums in float64, in a fixed order: alike on
    any number of threads. Width is that of an image's embedding, twice as much for `concat`. Raises DataError for a
    value that is not finite or out of range, a template without images, a length of 0 to divide by, or a sum of 0;
    ConfigError where `flip` has no mirror images to join, or another flip; ValueError for another shape.
    """
