"""EdgeFace's files are read strictly: the plain XS loads, anything else is refused in one line."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from sdx.errors import ArtefactError
from sdx.types import InputSpec
from sdx.weights import edgeface

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(5)
    network = timm.create_model("edgenext_x_small", num_classes=512)
    return {f"model.{name}": tensor for name, tensor in network.state_dict().items()}


def test_plain_xs_loads(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "xs.pt")
    random = torch.get_rng_state()
    model = edgeface.load(tmp_path / "xs.pt")
    assert torch.equal(torch.get_rng_state(), random)
    assert (model.name, model.embedding, model.spec) == ("xs", 512, InputSpec(112))
    assert model.licence == "non-commercial"
    assert not model.commercial_use
    assert not model.network.training
    assert torch.equal(model.network.state_dict()["head.fc.weight"], state["model.head.fc.weight"])


def _low_rank(state: State) -> object:
    return state | {"model.stages.0.blocks.0.mlp.fc1.linear1.weight": torch.zeros(2, 2)}


def _base(_state: State) -> object:
    return {f"model.{k}": v for k, v in timm.create_model("edgenext_base", num_classes=512).state_dict().items()}


def _lacks_one(state: State) -> object:
    return dict(list(state.items())[1:])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_low_rank, "low-rank EdgeFace"),
        (_base, "got other weights"),
        (_lacks_one, "got other weights"),
        (lambda _: [1, 2], "expected a torch state dict"),
        (lambda _: {"model.a": 3}, "expected a torch state dict"),
        (lambda _: {1: torch.zeros(2)}, "expected a torch state dict"),
        (lambda _: {}, "got other weights"),
    ],
)
def test_other_weights_are_refused(state: State, tmp_path: Path, make: Callable[[State], object], words: str) -> None:
    torch.save(make(state), tmp_path / "xs.pt")
    with pytest.raises(ArtefactError, match=words) as caught:
        edgeface.load(tmp_path / "xs.pt")
    assert "\n" not in str(caught.value)


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "zip of nothing", "pickle that runs code"])
def test_damaged_and_hostile_files(state: State, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "xs.pt"
    if kind == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "zip of nothing":
        zipfile.ZipFile(path, "w").close()
    elif kind == "pickle that runs code":
        torch.save({"model.a": _Code()}, path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"<html>not found</html>")
    with pytest.raises(ArtefactError, match=r"xs\.pt: expected a torch state dict") as caught:
        edgeface.load(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()
