"""1:N figures against their definitions, searched one probe at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ijb_folder import World
from numpy.typing import NDArray

from sdx.errors import DataError
from sdx.evaluation import identification
from sdx.evaluation.identification import FPIRS, LEGACY_FARS, RANKS, Roster, identify, legacy
from sdx.evaluation.templates import ImageEmbeddings, Templates, TemplateSet, Weighting


def _roster(world: World, name: str, members: NDArray[np.int64]) -> Roster:
    return Roster(name, world.ids[members], world.subject[members])


def _case(world: World) -> tuple[Templates, list[Roster], Roster]:
    known = TemplateSet("world", world.template, world.media, world.score.astype(np.float32))
    made = known.aggregate(ImageEmbeddings(world.face, world.mirrored), Weighting())
    galleries = [_roster(world, f"G{number + 1}", members) for number, members in enumerate(world.gallery)]
    return made, galleries, _roster(world, "probes", world.probe)


def _rows(width: int) -> Any:
    """Vectors of unit length in any arithmetic: an axis, or four halves, of either sign; many have equal products."""
    axis = st.integers(0, width - 1).map(lambda at: [float(at == k) for k in range(width)])
    halves = st.permutations(range(width)).map(lambda at: [0.5 * (k in at[:4]) for k in range(width)])
    signs = st.lists(st.sampled_from([-1.0, 1.0]), min_size=width, max_size=width)
    return st.tuples(st.one_of(axis, halves), signs).map(lambda both: [v * s for v, s in zip(*both, strict=True)])


def _units(templates: Templates) -> dict[int, NDArray[np.float64]]:
    """Return templates by id; float32 ones are of unit length but for rounding."""
    row = templates.unit.astype(np.float64)
    return dict(zip(templates.ids.tolist(), row / np.linalg.norm(row, axis=1, keepdims=True), strict=True))


def _searches(templates: Templates, gallery: Roster, probes: Roster) -> list[tuple[int | None, float, float]]:
    """For each probe, by cosine: the mate's rank behind equals and score, None and -inf without one; the best score."""
    unit = _units(templates)
    found: list[tuple[int | None, float, float]] = []
    for template, subject in zip(probes.template.tolist(), probes.subject.tolist(), strict=True):
        scores = [float(unit[one] @ unit[template]) for one in gallery.template.tolist()]
        if subject in gallery.subject:
            own = scores[gallery.subject.tolist().index(subject)]
            found.append((sum(score >= own for score in scores), own, max(scores)))
        else:
            found.append((None, -math.inf, max(scores)))
    return found


def _check(templates: Templates, galleries: list[Roster], probes: Roster, rank: int) -> None:
    result = identify(templates, galleries, probes, rank=rank)
    assert (result.probes, result.rank) == (len(probes), rank)
    for gallery, got in zip(galleries, result.galleries, strict=True):
        searches = _searches(templates, gallery, probes)
        mated = [search for search in searches if search[0] is not None]
        best = [search[2] for search in searches if search[0] is None]
        assert (got.subjects, got.mated, got.nonmated) == (len(gallery), len(mated), len(best))
        for at in RANKS:
            assert got.cmc[str(at)] == pytest.approx(np.mean([place <= at for place, _, _ in mated if place]))
        assert set(got.rates) == (set(FPIRS) if best else set())
        for name, rate in got.rates.items():
            # The lowest of all numbers that at most so many reach: just above a score that must be refused.
            thresholds = [float(np.nextafter(score, np.inf)) for score in best]
            allowed = [t for t in thresholds if sum(score >= t for score in best) / len(best) <= FPIRS[name]]
            assert rate.threshold == pytest.approx(min(allowed), abs=1e-12)
            assert rate.false_positives == sum(score >= min(allowed) for score in best)
            assert rate.attained == rate.false_positives / len(best) <= FPIRS[name]
            misses = sum(not (place and place <= rank and own >= min(allowed)) for place, own, _ in mated)
            assert (rate.misses, rate.fnir) == (misses, pytest.approx(misses / len(mated)))
            assert rate.fnir_interval[0] <= rate.fnir <= rate.fnir_interval[1]
    for at in RANKS:
        assert result.cmc[str(at)] == pytest.approx(np.mean([one.cmc[str(at)] for one in result.galleries]))
    for name, fnir in result.fnir.items():
        assert fnir == pytest.approx(np.mean([one.rates[name].fnir for one in result.galleries if one.rates]))


@pytest.mark.parametrize("rank", [1, 3, 25])
def test_figures_are_those_of_the_definitions(rank: int) -> None:
    made, galleries, probes = _case(World(subjects=60, probes=200))
    _check(made, galleries, probes, rank)
    result = identify(made, galleries, probes, rank=rank)
    assert 0.5 < result.cmc["1"] < result.cmc["20"] <= 1  # neither all nor nothing
    assert 0 < result.fnir["1e-1"] < result.fnir["1e-3"] < 1
    assert result.galleries[0].rates["1e-1"].support == "low"
    assert result.galleries[0].rates["1e-3"].support == "none"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_are_counted_as_the_definitions_say(data: Any) -> None:
    width, searches = data.draw(st.integers(4, 7)), data.draw(st.integers(1, 12))
    probe = np.array(data.draw(st.lists(_rows(width), min_size=searches, max_size=searches)), np.float32)
    subject = np.array(data.draw(st.lists(st.integers(0, width), min_size=searches, max_size=searches)))
    subject[0] = 0
    unit = np.vstack([np.eye(width, dtype=np.float32), probe])
    templates = Templates("x", Weighting(), 1, np.arange(width + searches), unit)
    gallery = Roster("axes", np.arange(width), np.arange(width))
    _check(templates, [gallery], Roster("probes", width + np.arange(searches), subject), data.draw(st.integers(1, 4)))


def test_the_mate_stands_behind_its_equals() -> None:
    probe = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, -0.5], [0.5, -0.5, 0.5, 0.5]], np.float32)
    templates = Templates("x", Weighting(), 1, np.arange(7), np.vstack([np.eye(4, dtype=np.float32), probe]))
    gallery, probes = Roster("g", np.arange(4), np.arange(4)), Roster("p", np.arange(4, 7), np.array([0, 3, 9]))
    result = identify(templates, [gallery], probes).galleries[0]
    assert (result.cmc["1"], result.cmc["5"]) == (0.0, 1.0)
    assert result.rates["1e-1"].threshold == np.nextafter(0.5, 1)  # the one search without a mate may not reach it
    assert [identify(templates, [gallery], probes, rank=at).galleries[0].rates["1e-1"].misses for at in (1, 4)] == [
        2,
        2,
    ]


def test_one_false_positive_in_ten_is_a_tenth() -> None:
    row = np.random.default_rng(0).normal(size=(15, 8))
    unit = (row / np.linalg.norm(row, axis=1, keepdims=True)).astype(np.float32)
    probes = Roster("p", np.arange(4, 15), np.array([0, *range(10, 20)]))
    rates = identify(
        Templates("x", Weighting(), 1, np.arange(15), unit), [Roster("g", np.arange(4), np.arange(4))], probes
    )
    assert [rate.false_positives for rate in rates.galleries[0].rates.values()] == [1, 0, 0, 0]


def test_without_searches_that_have_no_mate_there_is_no_threshold() -> None:
    made, galleries, probes = _case(World())
    both = Roster("both", *(np.concatenate([getattr(g, of) for g in galleries]) for of in ("template", "subject")))
    result = identify(made, [both], probes)
    assert result.galleries[0].nonmated == 0
    assert result.fnir == result.galleries[0].rates == {}
    assert set(result.cmc) == {"1", "5", "10", "20"}


def test_the_older_way_is_that_of_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identification, "_PROBES_AT_ONCE", 37)
    made, galleries, probes = _case(World(subjects=60, probes=200))
    result = legacy(made, galleries, probes)
    both = (np.concatenate([getattr(gallery, of) for gallery in galleries]) for of in ("template", "subject"))
    searches = _searches(made, Roster("both", *both), probes)
    unit = _units(made)
    impostor = [
        float(unit[one] @ unit[template])
        for gallery in galleries
        for one, of in zip(gallery.template.tolist(), gallery.subject.tolist(), strict=True)
        for template, subject in zip(probes.template.tolist(), probes.subject.tolist(), strict=True)
        if of != subject
    ]
    impostor.sort(reverse=True)
    assert (result.subjects, result.probes) == (60, 200)
    for at in RANKS:
        assert result.cmc[str(at)] == pytest.approx(np.mean([place <= at for place, _, _ in searches if place]))
    for name, far in LEGACY_FARS.items():
        threshold = impostor[math.ceil(200 * far) - 1]
        assert result.threshold[name] == pytest.approx(threshold, abs=1e-12)
        assert result.recall[name] == pytest.approx(np.mean([own > threshold for _, own, _ in searches]))
    assert 0 < result.recall["1e-2"] < result.recall["1e-1"] < 1


def test_in_the_older_way_a_mate_must_score_above_the_threshold() -> None:
    probe = np.array([[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 0.0]], np.float32)
    templates = Templates("x", Weighting(), 1, np.arange(6), np.vstack([np.eye(4, dtype=np.float32), probe]))
    galleries = [Roster("g", np.arange(2), np.arange(2)), Roster("h", np.arange(2, 4), np.arange(2, 4))]
    result = legacy(templates, galleries, Roster("p", np.arange(4, 6), np.array([0, 2])))
    assert (result.threshold["1e-1"], result.recall["1e-1"]) == (0.5, 0.5)
    assert (result.cmc["1"], result.cmc["5"]) == (0.5, 1.0)


def test_the_older_way_with_few_templates_and_many_probes() -> None:
    count = 5200  # a tenth of them is more than the first 512 probes have scores
    unit = np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    templates = Templates("x", Weighting(), 1, np.arange(count), unit)
    one = Roster("g", np.arange(1), np.arange(1))
    result = legacy(
        templates,
        [one, Roster("h", np.arange(1, 2), np.arange(1, 2))],
        Roster("p", np.arange(count), np.arange(count) % 2),
    )
    assert (result.cmc["1"], result.recall["1e-1"], result.threshold["1e-1"]) == (1.0, 1.0, 0.0)


def test_what_cannot_be_searched() -> None:
    made, galleries, probes = _case(World())
    first = galleries[0]
    twice = Roster("twice", first.template[:2], np.array([5, 5]))
    with pytest.raises(DataError, match="twice: expected one template a subject, got two of subject 5"):
        identify(made, [twice], probes)
    with pytest.raises(DataError, match=r"none of template 1$"):
        identify(made, [Roster("g", np.array([1]), np.array([0]))], probes)
    with pytest.raises(DataError, match="got none among 120"):
        identify(made, [Roster("g", first.template[:1], np.array([-7]))], probes)
    with pytest.raises(DataError, match="expected a gallery"):
        identify(made, [], probes)
    with pytest.raises(DataError, match="rank 0"):
        identify(made, galleries, probes, rank=0)
    with pytest.raises(DataError, match="one for every probe"):
        legacy(made, galleries[:1], probes)
    with pytest.raises(DataError, match="got two of subject"):
        legacy(made, [first, first], probes)
    none = Roster("empty", np.empty(0, np.int64), np.empty(0, np.int64))
    with pytest.raises(DataError, match="empty: expected templates to search, got none"):
        identify(made, [none], probes)
    with pytest.raises(DataError, match="empty: expected templates to search, got none"):
        legacy(made, [none], probes)
    for given_galleries, given_probes in (([], probes), (galleries, none)):
        with pytest.raises(DataError, match="expected a gallery and a probe"):
            legacy(made, given_galleries, given_probes)
