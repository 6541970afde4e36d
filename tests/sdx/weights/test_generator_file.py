"""A generator file gives back the very generator, and every damage to it is one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sdx.errors import ArtefactError
from sdx.networks.stylegan2 import Generator, GeneratorConfig
from sdx.weights import artefact as models
from sdx.weights.generator import GeneratorArtefact, GeneratorMeta, load, save, set_mean_w
from sdx.weights.metadata import Origin

CONFIG = GeneratorConfig(16, z_dim=6, w_dim=5, mapping_layers=2, channel_base=64, channel_max=6)


def _artefact() -> GeneratorArtefact:
    torch.manual_seed(0)
    origin = Origin(role="data", name="pictures", licence="non-commercial")
    meta = GeneratorMeta(name="tiny", frame="ffhq", licence="MIT", provenance=(origin,))
    return GeneratorArtefact(Generator(CONFIG), meta)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save(tmp_path / "generator.safetensors", _artefact())
    return tmp_path / "generator.safetensors"


def _rewrite(path: Path, change: Callable[[dict[str, str], dict[str, Tensor]], None]) -> None:
    with safe_open(path, "pt") as opened:
        header = dict(opened.metadata())
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    change(header, state)
    save_file(state, path, header)


def test_round_trip(file: Path) -> None:
    made, got = _artefact(), load(file)
    assert got.network.config == CONFIG
    assert not any(p.requires_grad for p in got.network.parameters())
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(got.network.state_dict()[name], tensor), name
    assert (got.meta.name, got.meta.frame, got.meta.strictest_licence) == ("tiny", "ffhq", "non-commercial")
    assert len(got.sha256) == 64


def test_half_storage_halves_the_matrices_and_still_checks_itself(file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    save(half, _artefact(), storage="fp16")
    assert half.stat().st_size < 0.8 * file.stat().st_size
    weight = "synthesis.b8.conv0.weight"
    wanted = _artefact().network.state_dict()[weight].half().float()
    assert torch.equal(load(half).network.state_dict()[weight], wanted)


def test_loading_leaves_the_random_generator_alone(file: Path) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    load(file)
    assert torch.equal(torch.rand(3), wanted)


def test_mean_w_is_the_mean_of_w() -> None:
    generator = _artefact().network
    set_mean_w(generator, 4096)
    w = generator.mapping(torch.randn(4096, 6)).detach()
    error = (w.mean(0) - generator.mapping.w_avg) / w.std(0)
    assert float(error.abs().max()) < 0.1


def _without(name: str) -> Callable[[dict[str, str], dict[str, Tensor]], None]:
    def change(header: dict[str, str], state: dict[str, Tensor]) -> None:
        del state[name]

    return change


def _meta(**changes: object) -> Callable[[dict[str, str], dict[str, Tensor]], None]:
    def change(header: dict[str, str], state: dict[str, Tensor]) -> None:
        header["meta"] = json.dumps(json.loads(header["meta"]) | changes)

    return change


def _nudge(header: dict[str, str], state: dict[str, Tensor]) -> None:
    state["synthesis.b8.conv1.weight"][:, 0] *= 1.2  # all of it alike would be demodulated away


def _reshape(header: dict[str, str], state: dict[str, Tensor]) -> None:
    state["mapping.fc0.weight"] = state["mapping.fc0.weight"][:, :3].contiguous()


NETWORK = CONFIG.to_dict()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_without("synthesis.b4.const"), "lacks weights"),
        (_reshape, "mis-shaped"),
        (_nudge, "self-check"),
        (_meta(self_check=[1.0]), "self-check"),
        (_meta(network=NETWORK | {"resolution": 32}), "lacks weights"),
        (_meta(network=NETWORK | {"resolution": 17}), "17"),
        (_meta(network=NETWORK | {"resolution": "16"}), "bad network"),
        (_meta(network=NETWORK | {"resolution": 16.0}), "bad network"),
        (_meta(network=NETWORK | {"depth": 3}), "depth"),
        (_meta(network={}), "resolution"),
        (_meta(code="import os"), "code"),
        (_meta(frame="sideways"), "frame"),
        (lambda header, state: header.update(meta="{"), "bad metadata"),
        (lambda header, state: header.update(version="9"), "version 1, got 9"),
        (lambda header, state: header.update(format="other"), "other"),
    ],
)
def test_damage_is_one_line(
    file: Path, change: Callable[[dict[str, str], dict[str, Tensor]], None], named: str
) -> None:
    _rewrite(file, change)
    with pytest.raises(ArtefactError) as error:
        load(file)
    assert named in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_truncated_and_missing_files(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    for path in (file, tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(ArtefactError):
            load(path)


def test_a_model_is_no_generator_and_the_other_way_round(file: Path) -> None:
    with pytest.raises(ArtefactError, match="expected a model saved by sdx, got a generator"):
        models.load(file)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    made = _artefact()
    with torch.no_grad():
        made.network.synthesis.b4.const.fill_(float("nan"))
    with pytest.raises(ArtefactError, match="finite"):
        save(tmp_path / "bad.safetensors", made)
    assert not (tmp_path / "bad.safetensors").exists()
