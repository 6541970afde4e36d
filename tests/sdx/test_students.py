"""Students learn, own their input, become artefacts, and can be given BatchNorm statistics alone."""

import logging
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from sdx import students
from sdx.errors import ConfigError
from sdx.students import calibrate_batchnorm
from sdx.types import InputSpec
from sdx.weights.artefact import load, save
from sdx.weights.metadata import Origin


@pytest.mark.parametrize(
    ("architecture", "size", "expected"),
    [("small", None, 64), ("small", 48, 48), ("tinyfar-c", None, 112), ("mobilefacenet", None, 112)],
)
def test_a_student_sees_the_size_it_is_made_for(architecture: str, size: int | None, expected: int) -> None:
    student = students.build("s", architecture, 8, size=size).eval()
    assert student.spec == InputSpec(expected)
    assert student.embedding == 8
    with torch.inference_mode():
        assert student(torch.zeros(1, 3, 40, 40), "ffhq").shape == (1, 8)


def test_every_weight_of_a_student_learns() -> None:
    torch.manual_seed(0)
    student = students.build("s", "small", 16)
    face, target = torch.rand(32, 3, 64, 64) * 2 - 1, torch.randn(32, 16)
    optimiser = torch.optim.Adam(student.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        loss = (student(face, "aligned") - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(bool(p.grad.abs().sum() > 0) for p in student.parameters() if p.grad is not None)
        assert all(p.grad is not None for p in student.parameters())
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_same_seed_same_student() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in students.build("s", "small", 8).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_unknown_architecture() -> None:
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        students.build("s", "smal", 8)


def test_absent_imagenet_weights_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        student = students.build("me", "small", 8, pretrained=True)
    assert student.notice is not None
    assert student.notice.startswith("student me: there are no ImageNet weights of Small")
    assert caplog.messages == [student.notice]
    caplog.clear()
    assert students.build("me", "small", 8).notice is None
    assert caplog.messages == []


def test_present_imagenet_weights_start_a_tinyfar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students.timm_net.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    body = students.build("donor", "tinyfar-c", 8).network.get_submodule("cnn")
    torch.save(body.state_dict(), tmp_path / "checkpoints" / "tinynet_c.pth")
    student = students.build("s", "tinyfar-c", 8, pretrained=True)
    assert student.notice is None
    assert torch.equal(student.network.get_parameter("cnn.conv_stem.weight"), body.get_parameter("conv_stem.weight"))


def test_a_student_becomes_a_complete_artefact(tmp_path: Path) -> None:
    torch.manual_seed(0)
    student = students.build("name", "small", 8, size=32)
    student(torch.rand(4, 3, 32, 32), "aligned")
    chain = [Origin(role="teacher", name="t", licence="non-commercial", sha256="00", data="real faces")]
    made = student.to_artefact(licence="Apache-2.0", provenance=chain, training="one pass", scores={"easy": 0.5})
    save(tmp_path / "model.safetensors", made)
    loaded = load(tmp_path / "model.safetensors")
    face = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        got = loaded.network(face.contiguous(memory_format=torch.channels_last))
        assert torch.equal(got, student.eval()(face, "aligned"))
    assert loaded.spec == student.spec
    assert loaded.meta.name == "name"
    assert loaded.meta.scores == {"easy": 0.5}
    assert loaded.meta.strictest_licence == "non-commercial"
    assert not loaded.meta.commercial_use


def test_calibrated_statistics_are_the_means_over_batches() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, 5, 3), drop=nn.Dropout(0.5), norm=nn.BatchNorm2d(5, momentum=0.1))
    )
    norm = network.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.running_mean.fill_(9)
    norm.weight.requires_grad_(False).fill_(2)
    batches = [torch.randn(6, 3, 8, 8) for _ in range(4)]
    weight = network.get_parameter("conv.weight").detach().double()
    bias = network.get_parameter("conv.bias").detach().double()
    outputs = [nn.functional.conv2d(batch.double(), weight, bias) for batch in batches]
    calibrate_batchnorm(network.train(), batches)
    mean = torch.stack([o.mean((0, 2, 3)) for o in outputs]).mean(0)
    variance = torch.stack([o.transpose(0, 1).flatten(1).var(1, correction=1) for o in outputs]).mean(0)
    assert torch.allclose(norm.running_mean.double(), mean, atol=1e-6)
    assert torch.allclose(norm.running_var.double(), variance, atol=1e-5)
    assert norm.momentum == 0.1
    assert all(module.training for module in network.modules())
    assert torch.equal(network.get_parameter("conv.weight").double(), weight)


def test_calibration_gives_random_weights_a_spread_of_embeddings() -> None:
    torch.manual_seed(0)
    student = students.build("s", "iresnet-simface", 32, size=32).eval()
    faces = torch.rand(64, 3, 32, 32) * 2 - 1
    calibrate_batchnorm(student.network, [faces])
    with torch.inference_mode():
        embedding = student(faces, "aligned")
    assert not student.network.training
    assert torch.allclose(embedding.mean(0), torch.zeros(32), atol=0.05)
    assert torch.allclose(embedding.std(0), torch.ones(32), atol=0.05)


def test_calibration_needs_images_and_survives_a_failure() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3))
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate_batchnorm(network, [])
    with pytest.raises(ValueError, match="expected 4D input"):
        calibrate_batchnorm(network, [torch.zeros(2, 3)])
    assert network[0].momentum == 0.3
