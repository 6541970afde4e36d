"""What the benches time against the field's script is what the script computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from field_rates import assert_equal_to_the_script
from peers import field_script

Distances = tuple[NDArray[np.float64], NDArray[np.bool_]]


def like_lfw(seed: int, pairs: int, digits: int | None) -> Distances:
    """Blocks of mated and of other pairs; rounded, many are equal."""
    rng = np.random.default_rng(seed)
    mated = np.arange(pairs) // (pairs // 20) % 2 == 0
    distance = np.where(mated, rng.normal(0.9, 0.35, pairs), rng.normal(1.8, 0.2, pairs)).clip(0, 4)
    return distance if digits is None else distance.round(digits), mated


@pytest.mark.parametrize(("seed", "pairs", "digits"), [(0, 6000, None), (1, 1000, None), (2, 997, 2), (3, 600, 1)])
def test_simulated_pairs_are_rated_as_the_script_does(seed: int, pairs: int, digits: int | None) -> None:
    assert_equal_to_the_script(*like_lfw(seed, pairs, digits))


def test_pair_scores_are_cosines_of_both_sides_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(30, 8)).astype(np.float32)
    first, second = rng.integers(0, 30, (2, 105))
    monkeypatch.setattr(field_script, "_BATCH", 10)
    exact = embedding.astype(np.float64) @ embedding.astype(np.float64).T
    np.testing.assert_allclose(field_script.pair_scores(embedding, first, second), exact[first, second], rtol=1e-13)


def test_the_comparison_notices_another_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    script = field_script.accuracy
    monkeypatch.setattr(field_script, "accuracy", lambda *pairs: (script(*pairs)[0], script(*pairs)[1] + 0.01))
    with pytest.raises(AssertionError, match="threshold"):
        assert_equal_to_the_script(*like_lfw(1, 200, None))
