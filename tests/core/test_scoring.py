"""Pair scores, rates and search through the binding, against NumPy in double precision."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sdx import _core
from sdx.errors import ConfigError, DataError

FMRS = [1e-1, 1e-2, 1e-3, 1e-4]


@pytest.fixture(scope="module")
def embedding() -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    centre = random.standard_normal((150, 96))
    return (centre[np.arange(900) % 150] + 1.2 * random.standard_normal((900, 96))).astype(np.float32)


@pytest.fixture(scope="module")
def subject() -> NDArray[np.int64]:
    return np.arange(900) % 150


@pytest.fixture(scope="module")
def cosine(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = embedding.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide @ wide.T


def _counts(point: _core.OperatingPoint) -> tuple[int, int]:
    return point.false_matches, point.false_non_matches


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("pairs", [2_000, 200_000])
def test_a_list_scores_and_rates_as_in_double_precision(
    embedding: NDArray[np.float32], subject: NDArray[np.int64], cosine: NDArray[np.float64], dtype: Any, pairs: int
) -> None:
    first, second = np.random.default_rng(1).integers(0, 900, (2, pairs)).astype(dtype)
    exact, mated = cosine[first, second], subject[first] == subject[second]
    for method in ("auto", "dense", "sparse"):
        np.testing.assert_allclose(_core.score_pairs(embedding, first, second, method=method), exact, atol=104 / 2**24)
    square = np.square(embedding[first].astype(np.float64) - embedding[second]).sum(1)
    np.testing.assert_allclose(_core.score_pairs(embedding, first, second, "squared_l2"), square, rtol=2e-5)
    curve = _core.Curve(exact, mated)
    got = _core.rate_pairs(embedding, first, second, mated, FMRS, [0.25])
    assert [_counts(point) for point in got.points] == [_counts(curve.at_fmr(fmr)) for fmr in FMRS]
    assert _counts(got.fixed[0]) == _counts(curve.at_threshold(0.25))
    assert _counts(got.equal_error) == _counts(curve.equal_error())
    assert got.auc == pytest.approx(curve.auc(), abs=1e-6)
    assert [_counts(point) for point in got.nearest] == [_counts(curve.at_fmr(fmr, "nearest")) for fmr in FMRS]


def test_all_pairs_rate_as_their_list(
    embedding: NDArray[np.float32], subject: NDArray[np.int64], cosine: NDArray[np.float64]
) -> None:
    first, second = np.triu_indices(900, 1)
    mated = subject[first] == subject[second]
    got = _core.rate_all_pairs(embedding, subject, FMRS, [0.25, 2.0, -2.0], tail=500)
    curve = _core.Curve(cosine[first, second], mated)
    assert (got.mated, got.nonmated) == (curve.mated, curve.nonmated)
    assert [_counts(point) for point in got.points] == [_counts(curve.at_fmr(fmr)) for fmr in FMRS]
    assert _counts(got.fixed[0]) == _counts(curve.at_threshold(0.25))
    assert [_counts(point) for point in got.fixed[1:]] == [(0, got.mated), (got.nonmated, 0)]
    highest = np.sort(cosine[first, second][~mated])[::-1][:500]
    np.testing.assert_allclose(got.tail_score, highest, atol=1e-14)
    for score, pair in ((got.tail_score, got.tail_pair), (got.mated_score, got.mated_pair)):
        np.testing.assert_allclose(score, cosine[pair[:, 0], pair[:, 1]], atol=1e-14)
    assert len(np.unique(got.mated_pair, axis=0)) == got.mated
    assert (subject[got.mated_pair[:, 0]] == subject[got.mated_pair[:, 1]]).all()
    assert (subject[got.tail_pair[:, 0]] != subject[got.tail_pair[:, 1]]).all()


def test_search_ranks_as_double_precision(embedding: NDArray[np.float32], cosine: NDArray[np.float64]) -> None:
    index, score = _core.search(embedding[:700], embedding[700:], 20)
    expected = cosine[700:, :700]
    order = np.argsort(-expected, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(score, np.take_along_axis(expected, order, 1), atol=1e-14)


def test_a_whole_gallery_can_be_ranked_and_equals_keep_their_order() -> None:
    gallery = np.ones((5_000, 8), np.float32)
    gallery[4_000] *= -1
    index, score = _core.search(gallery, np.ones((2, 8), np.float32), 5_000)
    assert index[1].tolist() == [*range(4_000), *range(4_001, 5_000), 4_000]
    assert score[0, 0] == 1
    assert score[0, -1] == -1


def test_many_probes_are_answered_in_their_order() -> None:
    turn = np.arange(9_000) * (2 * np.pi / 9_000)
    probe = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
    index, score = _core.search(np.ascontiguousarray(probe[::-1]), probe, 1)
    assert index[:, 0].tolist() == [*range(8_999, -1, -1)]
    np.testing.assert_allclose(score, 1, atol=1e-15)


def test_a_tail_that_is_too_long_is_told_as_such() -> None:
    rows = np.random.default_rng(0).standard_normal((3_000, 2)).astype(np.float32)
    with pytest.raises(DataError, match="or in the tail, got 4498500: ask for a lower rate or a shorter tail"):
        _core.rate_all_pairs(rows, np.arange(3_000), [], tail=4_498_500)


E_ = np.eye(4, dtype=np.float32)
I_ = np.array([0, 1])
M_ = np.array([True, False])


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: _core.score_pairs(E_.astype(np.float64), I_, I_), TypeError, "float32 [n, m], got float64 [4, 4]"),
        (lambda: _core.score_pairs(E_[:, ::2], I_, I_), ValueError, "to be contiguous"),
        (lambda: _core.score_pairs(E_, I_.astype(np.int16), I_), TypeError, "`first` as a numpy array int64 [n]"),
        (lambda: _core.score_pairs(E_, I_.astype(np.int32), I_), TypeError, "`second` as a numpy array int32 [n]"),
        (lambda: _core.score_pairs(E_, I_ + 3, I_), DataError, "[0, 4), got 4 and 1 in pair 1"),
        (lambda: _core.score_pairs(E_, I_, I_[:1]), DataError, "as many first as second embeddings"),
        (lambda: _core.score_pairs(E_[:0], I_, I_), DataError, "[0, 0), got 0 and 0"),
        (lambda: _core.score_pairs(E_[:, :0].copy(), I_, I_), DataError, "embeddings of at least one number"),
        (lambda: _core.score_pairs(E_ * 0, I_, I_), DataError, "zeros alone in row 0"),
        (lambda: _core.score_pairs(E_ / 0 * 0, I_, I_), DataError, "not finite in row 0"),
        (lambda: _core.score_pairs(E_, I_, I_, "dot"), ConfigError, 'metric "cosine" or "squared_l2", got "dot"'),
        (lambda: _core.score_pairs(E_, I_, I_, method="fast"), ConfigError, 'got "fast"'),
        (lambda: _core.rate_pairs(E_, I_, I_[::-1].copy(), M_ | True, [0.1]), DataError, "2 mated and 0 non-mated"),
        (lambda: _core.rate_pairs(E_, I_, I_, M_, [1.1]), DataError, "false match rate in [0, 1], got 1.1"),
        (lambda: _core.rate_pairs(E_, I_, I_, M_, [], [np.nan]), DataError, "a threshold, got NaN"),
        (lambda: _core.rate_pairs(E_, I_, I_, M_.astype(int), []), TypeError, "`mated` as a numpy array bool"),
        (lambda: _core.rate_all_pairs(E_, I_, [0.1]), DataError, "a subject for each of 4 embeddings, got 2"),
        (lambda: _core.rate_all_pairs(E_, I_.repeat(2) * 0, [0.1]), DataError, "at least two subjects, got 4 of one"),
        (lambda: _core.rate_all_pairs(E_, I_.repeat(2), [-0.1]), DataError, "got -0.1"),
        (lambda: _core.search(E_, E_[:, :3].copy(), 1), DataError, "probes of 4 numbers, as the gallery, got 3"),
        (lambda: _core.search(E_, E_, 5), ConfigError, "1 to 4 of the gallery, got 5"),
        (lambda: _core.search(E_, E_, -1), OverflowError, "can't convert negative int to unsigned"),
    ],
)
@pytest.mark.filterwarnings("ignore:(divide|invalid)")
def test_what_cannot_be_scored_is_told(call: Callable[[], object], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=re.escape(told)):
        call()
