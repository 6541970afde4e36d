"""Real scores, EdgeFace's of a sixth of LFW's pairs: rated as the field's script rates them."""

from pathlib import Path

import numpy as np
import pytest

from field_rates import assert_equal_to_the_script
from sdx.evaluation import datasets, models
from sdx.evaluation.embed import embed
from sdx.evaluation.images import PixelImages
from sdx.evaluation.verification import pair_distance, unit_descriptors

REAL = Path(__file__).parents[3] / "shared" / "real"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="real faces and teacher are not at ../shared/real"),
]


def test_real_pairs_are_rated_as_the_script_does() -> None:
    found = datasets.load(str(REAL / "lfw.bin"))
    pairs, mated = found.pairs[::6], np.ascontiguousarray(found.mated[::6])
    used, place = np.unique(pairs, return_inverse=True)
    model = models.load(f"edgeface:{REAL / 'edgeface_xs.pt'}")[0]
    images = PixelImages(np.concatenate([found.images.read(image, image + 1) for image in used]))
    descriptor = unit_descriptors(embed(model, images, found.frame))
    distance = pair_distance(descriptor, place.reshape(pairs.shape))
    assert np.mean((distance < 1.5) == mated) > 0.98  # they are a recogniser's
    assert_equal_to_the_script(distance, mated)
