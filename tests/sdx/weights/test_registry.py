"""Every accepted form of a model's name leads to it, and any other is told which forms there are."""

import sys
from pathlib import Path

import pytest
import torch

from sdx import networks
from sdx.errors import ArtefactError, SdxError
from sdx.types import InputSpec
from sdx.weights import registry
from sdx.weights.artefact import Artefact, save
from sdx.weights.metadata import ArtefactMeta, Origin
from sdx.weights.registry import resolve

USER = """
import torch
from sdx.types import InputSpec
from sdx.weights.registry import LoadedModel

def mine():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))
    return LoadedModel("mine", network, InputSpec(8), "MIT", (), "", 5)

def broken():
    raise RuntimeError("no weights today")

def other():
    return 3
"""


def _save(path: Path, name: str) -> str:
    torch.manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = Origin(role="teacher", name="t", licence="CC-BY-NC-4.0")
    meta = ArtefactMeta(name=name, architecture="small", embedding=6, licence="MIT", provenance=(origin,))
    return save(path, Artefact(networks.build("small", 6, 16), InputSpec(16), meta))


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user_models.py").write_text(USER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != ""])
    monkeypatch.delitem(sys.modules, "user_models", raising=False)


def test_file(tmp_path: Path) -> None:
    digest = _save(tmp_path / "odd:name.bin", "one")
    (model,) = resolve(str(tmp_path / "odd:name.bin"))
    assert (model.name, model.embedding, model.spec, model.sha256) == ("one", 6, InputSpec(16), digest)
    assert model.licence == "CC-BY-NC-4.0"
    assert not model.commercial_use
    assert model.provenance[0].role == "teacher"


def test_run_folder_gives_all_students_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        _save(tmp_path / "students" / name / "model.safetensors", name)
    assert [model.name for model in resolve(str(tmp_path))] == ["a", "b"]


def test_builtin_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path / "simface-teacher.safetensors", "simface-teacher")
    monkeypatch.setattr(registry, "builtin", lambda: {"simface-teacher": tmp_path / "simface-teacher.safetensors"})
    assert resolve("simface-teacher")[0].name == "simface-teacher"
    with pytest.raises(ArtefactError, match="a built-in name \\(simface-teacher\\)"):
        resolve("simface-teachr")


def test_builtin_names_are_the_files_that_ship() -> None:
    for name, path in registry.builtin().items():
        assert path.is_file()
        assert resolve(name)[0].name == name


@pytest.mark.usefixtures("user")
def test_a_network_of_the_user() -> None:
    (model,) = resolve("user_models:mine")
    assert model.embedding == 5
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("user_models:broken", "RuntimeError: no weights today"),
        ("user_models:other", "expected it to return a LoadedModel, got int"),
        ("user_models:absent", "expected 'absent' in module"),
        ("no_such_module:Name", "expected an importable module"),
        ("edgeface:absent.pt", "absent.pt: expected EdgeFace weights, got nothing there"),
        ("edgeface:", "got a folder"),
        (".", "students/NAME/model.safetensors"),
        ("", "expected a run folder"),
        ("absent.safetensors", "no model 'absent.safetensors': expected a model file, a run folder"),
        ("https://example.org/model", "no model"),
        ("os.path:../x", "no model"),
    ],
)
def test_what_leads_nowhere_is_one_line(reference: str, words: str) -> None:
    with pytest.raises(SdxError, match=words) as caught:
        resolve(reference)
    assert "\n" not in str(caught.value)
