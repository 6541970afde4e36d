"""How templates are asked for: what each option means, under whose name, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ijb_folder import World

from sdx.errors import ConfigError, DataError
from sdx.evaluation import templates
from sdx.evaluation.templates import ImageEmbeddings, Templates, TemplateSet, Weighting


def _set(world: World) -> TemplateSet:
    return TemplateSet("world", world.template, world.media, world.score.astype(np.float32))


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("detector", [True, False])
@pytest.mark.parametrize("flip", ["sum", "concat", "none"])
def test_each_option_does_what_the_fields_scripts_do(norms: bool, detector: bool, flip: templates.Flip) -> None:
    world = World()
    made = _set(world).aggregate(ImageEmbeddings(world.face, world.mirrored), Weighting(norms, detector, flip))
    want = world.units(norms=norms, detector=detector, flip=flip)
    assert made.ids.tolist() == sorted(want)
    assert made.images == len(world.face)
    np.testing.assert_allclose(made.unit, [want[one] for one in made.ids.tolist()], atol=1e-6)


def test_two_scripts_mean_opposite_things_by_n() -> None:
    default = Weighting()
    assert (default.norm_weighting, default.detector_weighting, default.flip) == (True, True, "sum")
    assert default.names() == {"eval_ijbc": "N1D1F1", "ijb_evals": "N0D1F1"}
    assert Weighting.of_script("eval_ijbc:N1D1F1") == default == Weighting.of_script("ijb_evals:N0D1F1")
    assert Weighting.of_script("eval_ijbc:N0D0F0") == Weighting(False, False, "none")
    assert Weighting.of_script("ijb_evals:N1D1F1") == Weighting(False, True, "sum")
    assert Weighting(flip="concat").names() == {}
    assert "eval_ijbc.py: N1D1F1, ijb_evals.py: N0D1F1" in str(default)
    assert str(Weighting(False, False, "concat")) == "norm weighting off, detector weighting off, flip concat"


@given(st.builds(Weighting, st.booleans(), st.booleans(), st.sampled_from(["sum", "none"])))
def test_what_a_script_calls_it_leads_back(weighting: Weighting) -> None:
    for script, name in weighting.names().items():
        assert Weighting.of_script(f"{script}:{name}") == weighting


@pytest.mark.parametrize("name", ["N1D1F1", "eval_ijbc", "eval_ijbc:N1D1F2", "ijb:N1D1F1", "eval_ijbc:N1D1F1 ", ""])
def test_a_name_that_does_not_say_whose_it_is_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="opposite things by N"):
        Weighting.of_script(name)


def test_what_is_not_there_cannot_be_asked_for() -> None:
    world = World()
    known, face = _set(world), ImageEmbeddings(world.face)
    with pytest.raises(ConfigError, match=r"mirror images .* \(--flip none\)"):
        known.aggregate(face, Weighting())
    unscored = TemplateSet("world", world.template, world.media)
    with pytest.raises(ConfigError, match=r"detector scores .* \(--no-detector\)"):
        unscored.aggregate(face, Weighting(flip="none"))
    assert len(unscored.aggregate(face, Weighting(detector_weighting=False, flip="none"))) == len(world.ids)
    with pytest.raises(DataError, match=r"each of [\d,]+ images, in their order, got 3"):
        known.aggregate(ImageEmbeddings(world.face[:3]), Weighting(flip="none"))


@pytest.mark.parametrize(("first", "spacing"), [(0, 3), (-2, 3), (5, 1 << 40)])
def test_templates_are_found_by_id(first: int, spacing: int) -> None:
    ids = np.arange(first, first + 11) * spacing
    made = Templates("x", Weighting(), 11, ids, np.eye(11, dtype=np.float32))
    np.testing.assert_array_equal(made.places(ids[[4, 0, 10, 4]]), np.array([4, 0, 10, 4], np.int32), strict=True)
    for missing in (ids[0] - 1, ids[-1] + 1, ids[3] + 1):
        with pytest.raises(DataError, match=rf"none of template {missing}$"):
            made.places(np.array([ids[2], missing]))
