"""The six verification sets: what holds for every one of them, and what each asks of its captures."""

import numpy as np
import pytest
import torch

from sdx.errors import ConfigError
from sdx.random import Philox
from sdx.simface import capture, parameters, protocols
from sdx.simface.population import Population

FOLD = protocols.MATED_PER_FOLD + protocols.NONMATED_PER_FOLD
SETS = {
    (name, split): protocols.pairs(name, split, Philox(3)) for name in protocols.NAMES for split in ("E-dev", "E-test")
}
every = pytest.mark.parametrize("key", list(SETS), ids="/".join)


def values(name: str, coordinate: str, split: str = "E-dev") -> torch.Tensor:
    return parameters.physical(SETS[name, split].latent, "wild")[coordinate]


@every
def test_counts_folds_and_pairs(key: tuple[str, str]) -> None:
    s = SETS[key]
    images = len(s.identity)
    assert images <= 2400
    assert s.latent.shape == (images, parameters.DIMENSION)
    assert s.pairs.shape == (6000, 2)
    assert s.mated.sum() == 3000
    assert torch.equal(s.mated.view(10, FOLD).sum(1), torch.full((10,), 300))
    assert torch.equal(s.identity[s.pairs[:, 0]] == s.identity[s.pairs[:, 1]], s.mated)
    assert (s.pairs[:, 0] != s.pairs[:, 1]).all()
    assert len(torch.unique(s.pairs.sort(1).values, dim=0)) == 6000
    seen = [set(s.identity[s.pairs[i * FOLD : (i + 1) * FOLD]].flatten().tolist()) for i in range(10)]
    assert sum(map(len, seen)) == len(set.union(*seen))
    assert len(torch.unique(torch.stack([s.identity, s.view]), dim=1)[0]) == images


@every
def test_impostors_of_hard_sets_share_their_group(key: tuple[str, str]) -> None:
    s = SETS[key]
    group = Population(s.split, "wild", Philox(3)).group(s.latent)
    same = (group[s.pairs[:, 0]] == group[s.pairs[:, 1]])[~s.mated].float().mean()
    assert same == 1 if "hard" in key[0] else 0.1 < same < 0.5


def test_people_differ_between_sets_and_splits() -> None:
    people = [set(s.identity.tolist()) for (_, split), s in SETS.items() if split == "E-dev"]
    assert sum(map(len, people)) == len(set.union(*people))
    a, b = SETS["sim-easy", "E-dev"].latent, SETS["sim-easy", "E-test"].latent
    assert len(torch.unique(torch.cat([a, b])[:, : parameters.IDENTITY_SIZE], dim=0)) == 2 * 600


def test_staged_nuisance() -> None:
    def sides(name: str, coordinate: str) -> tuple[torch.Tensor, torch.Tensor]:
        s, v = SETS[name, "E-dev"], values(name, coordinate)
        return v[s.pairs[:, 0]], v[s.pairs[:, 1]]

    one, other = sides("sim-pose", "yaw")
    assert one.abs().max() < 7
    assert other.abs().min() > 50
    for name in ("sim-age", "sim-hardage"):
        one, other = sides(name, "age")
        assert one.max() < 27
        assert other.min() > 53
    one, other = sides("sim-hardpose", "yaw")
    assert one.max() < -19
    assert other.min() > 19
    size = capture.effective_size(parameters.physical(SETS["sim-low", "E-dev"].latent, "wild"))
    assert size.min() > 19.9
    assert size.max() < 40.1
    assert size.std() > 3
    for name in protocols.NAMES:
        assert values(name, "occlusion").max() <= 0


def test_deterministic_and_seeded() -> None:
    again = protocols.pairs("sim-hardage", "E-dev", Philox(3))
    assert torch.equal(again.pairs, SETS["sim-hardage", "E-dev"].pairs)
    assert torch.equal(again.latent, SETS["sim-hardage", "E-dev"].latent)
    other = protocols.pairs("sim-hardage", "E-dev", Philox(4))
    assert not torch.equal(other.latent, again.latent)
    assert not torch.equal(other.pairs, again.pairs)


def test_rendered_images_do_not_depend_on_the_batch() -> None:
    s = SETS["sim-easy", "E-dev"]
    rows = slice(0, 20)
    few = protocols.ProtocolSet(s.name, s.split, s.identity[rows], s.view[rows], s.latent[rows], s.pairs, s.mated)
    one = protocols.render_set(few, Philox(3), batch=20)
    other = protocols.render_set(few, Philox(3), batch=7)
    assert one.shape == (20, 64, 64, 3)
    assert one.dtype == np.uint8
    assert one.std() > 20
    assert (one != other).mean() < 1e-3  # a rounding of JPEG may flip on the last bit of a matrix product


@pytest.mark.parametrize(("name", "split"), [("sim-hard", "E-dev"), ("sim-easy", "T")])
def test_unknown_sets_and_splits(name: str, split: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected"):
        protocols.pairs(name, split, Philox(1))  # on purpose
