"""ImageNet weights come from this machine's caches or not at all, and it is said which."""

import socket
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from sdx.networks import timm_net


@pytest.fixture(autouse=True)
def _empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a network connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(timm_net.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    (tmp_path / "checkpoints").mkdir()


def _flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in network.state_dict().values()])


def _body() -> nn.Module:
    body: nn.Module = timm.create_model("tinynet_c", num_classes=0)
    return body


def test_absent_weights_are_said_and_nothing_changes() -> None:
    body = _body()
    before = _flat(body)
    notice = timm_net.load_imagenet(body)
    assert notice is not None
    assert "no ImageNet weights of tinynet_c" in notice
    assert "\n" not in notice
    assert torch.equal(_flat(body), before)


def test_cached_weights_are_loaded_without_their_classifier(tmp_path: Path) -> None:
    whole = timm.create_model("tinynet_c")
    torch.save(whole.state_dict(), tmp_path / "checkpoints" / "tinynet_c.pth")
    body = _body()
    assert timm_net.load_imagenet(body) is None
    whole.reset_classifier(0)
    assert torch.equal(_flat(body), _flat(whole))


def test_own_classifier_is_kept(tmp_path: Path) -> None:
    torch.save(timm.create_model("tinynet_c").state_dict(), tmp_path / "checkpoints" / "tinynet_c.pth")
    network = timm.create_model("tinynet_c", num_classes=64)
    classifier = network.classifier.weight.clone()
    assert timm_net.load_imagenet(network) is None
    assert torch.equal(network.classifier.weight, classifier)


def test_hub_cache_is_looked_into_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    whole = timm.create_model("tinynet_c")
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    asked: list[tuple[str, str]] = []

    def cached(repository: str, file: str) -> str | None:
        asked.append((repository, file))
        return str(tmp_path / file) if file == "model.safetensors" else None

    monkeypatch.setattr(timm_net.huggingface_hub, "try_to_load_from_cache", cached)
    body = _body()
    assert timm_net.load_imagenet(body) is None
    assert asked == [("timm/tinynet_c.in1k", "model.safetensors")]
    whole.reset_classifier(0)
    assert torch.equal(_flat(body), _flat(whole))


@pytest.mark.parametrize("content", [b"", b"not weights", "other network", "wrong shapes", "no dict"])
def test_damaged_or_foreign_weights_are_said(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "checkpoints" / "tinynet_c.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "other network":
        torch.save(timm.create_model("tinynet_b").state_dict(), path)
    elif content == "wrong shapes":
        state = timm.create_model("tinynet_c").state_dict()
        torch.save({**state, "bn2.weight": state["bn2.weight"][:7]}, path)
    else:
        torch.save([1, 2], path)
    body = _body()
    before = _flat(body)
    notice = timm_net.load_imagenet(body)
    assert notice is not None
    assert str(path) in notice
    assert torch.equal(_flat(body), before)


def test_network_without_imagenet_weights() -> None:
    assert "no ImageNet weights of Linear" in str(timm_net.load_imagenet(nn.Linear(2, 2)))
