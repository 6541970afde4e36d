"""A model file gives back the very network, and every damage to it is one clear line."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sdx import networks
from sdx.align import view
from sdx.errors import ArtefactError
from sdx.types import InputSpec
from sdx.weights.artefact import Artefact, load, save, self_check_face
from sdx.weights.metadata import ArtefactMeta, OperatingThreshold, Origin

SPEC = InputSpec(32, order="BGR", scale=0.99609375, crop=(0.0, 0.125, 0.875, 1.0))


def _artefact(seed: int = 0, **meta: object) -> Artefact:
    torch.manual_seed(seed)
    network = networks.build("small", 24, 32)
    for _ in range(3):
        network(torch.rand(4, 3, 32, 32) * 2 - 1)  # BatchNorm statistics that are not the initial ones
    values = {"name": "tiny", "architecture": "small", "embedding": 24, "licence": "MIT", **meta}
    return Artefact(network, SPEC, ArtefactMeta.model_validate(values))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save(path, _artefact())
    return path.read_bytes()


@pytest.fixture
def file(tmp_path: Path, good: bytes) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(good)
    return path


def _rewrite(path: Path, change: Callable[[dict[str, str], dict[str, Tensor]], None]) -> None:
    """Write the file again after ``change`` has worked on its header and its tensors."""
    with safe_open(path, "pt") as file:
        header, state = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    change(header, state)
    save_file(state, path, header)


def _edit_meta(header: dict[str, str], **changes: object) -> None:
    header["meta"] = json.dumps(json.loads(header["meta"]) | changes)


def test_the_same_network_is_the_same_file(tmp_path: Path, good: bytes) -> None:
    for _ in range(16):  # by chance the order of three keys would be the same each time once in 6 ** 16
        assert save(tmp_path / "again.safetensors", _artefact()) == hashlib.sha256(good).hexdigest()
    named = _artefact(name="ä name \u2028 \U0001f600 of its own")
    save(tmp_path / "named.safetensors", named)
    assert load(tmp_path / "named.safetensors").meta.name == named.meta.name


def test_round_trip_gives_the_same_bits(tmp_path: Path) -> None:
    chain = (Origin(role="teacher", name="t", licence="GPL-3.0", sha256="ab", data="synthetic"),)
    before = _artefact(provenance=chain, scores={"sim-easy": 0.9}, training="by hand")
    digest = save(tmp_path / "m", before)
    after = load(tmp_path / "m")
    face = torch.rand(3, 3, 40, 40) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(
            after.network(view(face, "ffhq", after.spec)), before.network.eval()(view(face, "ffhq", SPEC))
        )
    assert after.spec == SPEC
    assert after.sha256 == digest == hashlib.sha256((tmp_path / "m").read_bytes()).hexdigest()
    assert not after.network.training
    assert not any(parameter.requires_grad for parameter in after.network.parameters())
    filled = {"input", "storage", "self_check", "created_with"}
    assert after.meta.model_dump(exclude=filled) == before.meta.model_dump(exclude=filled)
    assert after.meta.strictest_licence == "GPL-3.0"
    assert len(after.meta.self_check) == 24
    assert after.meta.created_with["torch"] == torch.__version__.split("+")[0]


def test_half_precision_is_half_the_size_and_still_verifies(tmp_path: Path) -> None:
    whole, half = tmp_path / "32", tmp_path / "16"
    save(whole, _artefact())
    save(half, _artefact(), storage="fp16")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded = load(half)
    assert loaded.meta.storage == "fp16"
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}
    with safe_open(half, "pt") as stored:
        assert stored.get_tensor("fc.weight").dtype == torch.float16
        assert stored.get_tensor("stem.bn.running_var").dtype == torch.float32
    assert torch.allclose(torch.tensor(loaded.meta.self_check), torch.tensor(load(whole).meta.self_check), atol=0.05)


def test_saving_changes_neither_network_nor_torch_generator(tmp_path: Path) -> None:
    before = _artefact()
    before.network.to(memory_format=torch.channels_last).train()
    state = {name: tensor.clone() for name, tensor in before.network.state_dict().items()}
    random = torch.get_rng_state()
    save(tmp_path / "m", before, storage="fp16")
    load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), random)
    assert before.network.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in before.network.state_dict().items())


def test_self_check_face_is_a_smooth_constant() -> None:
    face = self_check_face(64)
    assert face.shape == (1, 3, 64, 64)
    assert torch.equal(face, self_check_face(64))
    assert float(face.abs().max()) <= 1
    assert float(face.std()) > 0.2
    assert float((face[..., 1:] - face[..., :-1]).abs().max()) < 0.35


@pytest.mark.parametrize("architecture", ["iresnet-simface", "mobilefacenet", "tinyfar-c"])
def test_every_family_of_ours_survives(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(0)
    network = networks.build(architecture, 8, 48)
    meta = ArtefactMeta(name="n", architecture=architecture, embedding=8)
    save(tmp_path / "m", Artefact(network, InputSpec(48), meta))
    assert load(tmp_path / "m").meta.architecture == architecture


THRESHOLD: dict[str, object] = {
    "threshold": 0.31,
    "flip": True,
    "asked_fmr": 1e-3,
    "attained_fmr": 0.00095,
    "interval": [0.0006, 0.0014],
    "interval_kind": "subjects",
    "false_matches": 19,
    "pairs": 20_000,
    "data": "sim@dev",
    "data_sha256": "ab" * 32,
}


def test_a_threshold_survives_and_without_one_the_file_knows_no_such_word(tmp_path: Path) -> None:
    save(tmp_path / "with", _artefact(threshold=THRESHOLD))
    meta = load(tmp_path / "with").meta
    assert meta.threshold == OperatingThreshold.model_validate(THRESHOLD)
    assert json.loads(meta.model_dump_json())["threshold"] == THRESHOLD
    save(tmp_path / "without", _artefact())
    with safe_open(tmp_path / "without", "pt") as file:
        assert "threshold" not in json.loads(file.metadata()["meta"])
    assert load(tmp_path / "without").meta.threshold is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": 1.5}, "threshold.threshold"),
        ({"threshold": float("nan")}, "threshold.threshold"),
        ({"attained_fmr": 0.0009}, "expected attained_fmr 19 / 20000, got 0.0009"),
        ({"asked_fmr": 1e-4}, "expected an attained_fmr of at most 0.0001, got 0.00095"),
        ({"interval": [0.2, 0.1]}, "interval within"),
        ({"interval_kind": "guess"}, "threshold.interval_kind"),
        ({"pairs": 0}, "threshold.pairs"),
        ({"colour": "red"}, "threshold.colour: Extra inputs"),
    ],
)
def test_a_threshold_that_contradicts_itself_is_damage(file: Path, changes: dict[str, object], words: str) -> None:
    _meta(threshold=THRESHOLD | changes)(file)
    with pytest.raises(ArtefactError, match=words):
        load(file)


# Damage: what is done to a good file, and what the one line must say.
def _nothing_there(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _pickle(path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, path)


def _huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def _foreign(path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path)


def _newer(path: Path) -> None:
    _rewrite(path, lambda header, _: header.update(version="2"))


def _no_meta(path: Path) -> None:
    _rewrite(path, lambda header, _: header.pop("meta") and None)


def _meta(**changes: object) -> Callable[[Path], None]:
    return lambda path: _rewrite(path, lambda header, _: _edit_meta(header, **changes))


def _lacks(path: Path) -> None:
    _rewrite(path, lambda _, state: state.pop("features.bias") is None)


def _extra(path: Path) -> None:
    _rewrite(path, lambda _, state: state.update(more=torch.zeros(1)))


def _misshaped(path: Path) -> None:
    _rewrite(path, lambda _, state: state.update({"features.bias": torch.zeros(23)}))


def _nan(path: Path) -> None:
    _rewrite(path, lambda _, state: state["features.bias"].fill_(float("nan")) is None)


def _flipped_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 0x40  # in the last tensor
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_nothing_there, "nothing there"),
        (_folder, "a folder"),
        (_truncated, "damaged"),
        (_cut_in_the_header, "damaged"),
        (_empty, "damaged"),
        (_pickle, "damaged"),
        (_huge_header, "damaged"),
        (_foreign, "of another origin"),
        (_newer, "expected format version 1, got 2"),
        (_no_meta, "bad metadata"),
        (_meta(colour="red"), "colour: Extra inputs"),
        (_meta(embedding="many"), "embedding: "),
        (_meta(embedding=-1), "embedding: "),
        (_meta(provenance=[{"role": "king", "name": "n"}]), "provenance.0.role"),
        (_meta(architecture="smal"), "did you mean 'small'"),
        (_meta(architecture="timm:nonsense"), "timm has no network"),
        (_meta(architecture="iresnet100"), "lacks weights of iresnet100"),
        (_meta(embedding=10**5), "embedding size"),
        (_meta(embedding=25), r"mis-shaped weights of small: fc.weight \[24, 512\] instead of \[25, 512\]"),
        (_meta(input={}), "input spec"),
        (_meta(input=SPEC.to_dict() | {"order": "GBR"}), "input spec"),
        (_meta(input=SPEC.to_dict() | {"size": 2048}), "input size"),
        (_meta(input=SPEC.to_dict() | {"scale": 1.0}), "failed its self-check"),
        (_meta(input=SPEC.to_dict() | {"order": "RGB"}), "failed its self-check"),
        (_meta(input=SPEC.to_dict() | {"shift": 0.01}), "failed its self-check"),
        (_meta(input=SPEC.to_dict() | {"crop": [0, 0, 1, 1]}), "failed its self-check"),
        (_meta(self_check=[]), "expected a self-check of 24 numbers, got 0"),
        (_meta(self_check=[0.0] * 24), "failed its self-check"),
        (_lacks, "lacks weights of small: features.bias"),
        (_extra, "has unknown weights of small: more"),
        (_misshaped, r"features.bias \[23\] instead of \[24\]"),
        (_nan, "failed its self-check"),
        (_flipped_bit, "failed its self-check"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_damage_is_one_clear_line(file: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(file)
    with pytest.raises(ArtefactError, match=words) as caught:
        load(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_self_check_can_be_left_out(file: Path) -> None:
    _nan(file)
    assert bool(load(file, verify=False).network.get_parameter("features.bias").isnan().all())


def test_a_wrong_network_definition_is_caught(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace: nn.functional.leaky_relu(x, 0.01))
    with pytest.raises(ArtefactError, match="failed its self-check"):
        load(file)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"architecture": "mobilefacenet"}, "lacks weights of mobilefacenet"),
        ({"embedding": 23}, "mis-shaped weights"),
        ({"output": "unit"}, "expected embeddings of length 1"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, meta: dict[str, object], words: str) -> None:
    with pytest.raises(ArtefactError, match=words):
        save(tmp_path / "m", _artefact(**meta))
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_network_is_not_saved(tmp_path: Path) -> None:
    diverged = _artefact()
    nn.init.constant_(diverged.network.get_parameter("fc.weight"), float("inf"))
    with pytest.raises(ArtefactError, match="expected finite weights"):
        save(tmp_path / "m", diverged)


def test_weights_beyond_half_precision_are_not_rounded_to_infinity(tmp_path: Path) -> None:
    large = _artefact()
    nn.init.constant_(large.network.get_parameter("fc.weight"), 1e5)
    save(tmp_path / "32", large)
    with pytest.raises(ArtefactError, match="expected finite weights"):
        save(tmp_path / "16", large, storage="fp16")


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = file.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtefactError, match="No space left"):
        save(file, _artefact(seed=1))
    assert file.read_bytes() == old
    assert list(file.parent.iterdir()) == [file]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="cannot be written"):
        save(tmp_path / "no" / "m", _artefact())


def test_the_file_is_in_place_only_when_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    replace = Path.replace

    def spy(self: Path, target: Path) -> Path:
        seen.append(self.read_bytes())
        assert self.parent == target.parent
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    digest = save(file, _artefact(seed=1))
    assert hashlib.sha256(seen[0]).hexdigest() == digest == load(file).sha256
