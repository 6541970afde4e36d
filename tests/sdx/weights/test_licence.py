"""The strictest licence of a chain binds, and nothing unknown is ever called free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdx.weights.licence import FREE, SHARE_ALIKE, allows_commercial_use, strictest
from sdx.weights.metadata import ArtefactMeta, Origin


@pytest.mark.parametrize(
    ("chain", "binding"),
    [
        (["Apache-2.0", "MIT"], "Apache-2.0"),
        (["MIT", "GPL-3.0"], "GPL-3.0"),
        (["MIT", "unknown"], "unknown"),
        (["unknown", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["GPL-3.0", "NVIDIA non-commercial", "MIT"], "NVIDIA non-commercial"),
        ([], "unknown"),
    ],
)
def test_strictest_of_a_chain(chain: list[str], binding: str) -> None:
    assert strictest(chain) == binding


@given(st.text())
def test_no_licence_outside_the_lists_is_free(licence: str) -> None:
    assert allows_commercial_use(licence) == (licence in FREE | SHARE_ALIKE)


@given(st.lists(st.sampled_from(["MIT", "GPL-3.0", "", "apache", "unknown", "research only", "CC-BY-NC-4.0"])))
def test_a_chain_is_free_only_if_every_link_is(chain: list[str]) -> None:
    meta = ArtefactMeta(
        name="n",
        architecture="small",
        embedding=4,
        licence="MIT",
        provenance=tuple(Origin(role="teacher", name="t", licence=licence) for licence in chain),
    )
    assert meta.commercial_use == all(licence in ("MIT", "GPL-3.0") for licence in chain)
    assert meta.strictest_licence in {"MIT", *chain}
