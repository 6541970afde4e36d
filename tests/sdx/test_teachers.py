"""A teacher embeds as its model does, frozen, in slices of any size."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn

from sdx import networks, precision, teachers
from sdx.align import view
from sdx.errors import ArtefactError
from sdx.networks import input_convolution
from sdx.networks.iresnet import IResNet
from sdx.precision import Policy
from sdx.training.graphs import CudaRecorder
from sdx.types import InputSpec
from sdx.weights.artefact import Artefact, save
from sdx.weights.metadata import ArtefactMeta
from sdx.weights.model import LoadedModel

USER = """
import torch
from sdx.types import InputSpec
from sdx.weights.registry import LoadedModel

class Mine:
    name, embedding, sha256 = "mine", 3, "aa"
    def embed(self, face, frame):
        return face.mean((2, 3))

class Half:
    name, embedding = "half", 3

def network():
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))
    return LoadedModel("network", linear, InputSpec(8), "MIT", (), "", 5)
"""


def _model(architecture: str = "iresnet-simface", size: int = 32, spec: InputSpec | None = None) -> LoadedModel:
    torch.manual_seed(0)
    network = networks.build(architecture, 16, size)
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(8, 3, size, size) * 2 - 1)
    network = network.eval().requires_grad_(False)
    return LoadedModel("t", network, spec or InputSpec(size), "MIT", (), "00", 16)


def _by_definition(model: LoadedModel, face: Tensor) -> Tensor:
    """The model's own network, unfolded, in float64."""
    network = _copy(model.network).double()
    with torch.inference_mode():
        return network(view(face, "aligned", model.spec).double())


def _copy(network: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(network)


@pytest.mark.parametrize("architecture", ["iresnet-simface", "small", "mobilefacenet", "tinyfar-c"])
@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(32),
        InputSpec(32, scale=0.99609375),
        InputSpec(32, order="BGR", scale=0.5),
        InputSpec(32, order="BGR", shift=0.3),
    ],
    ids=["plain", "scale", "bgr", "shift"],
)
def test_teacher_equals_its_model(architecture: str, spec: InputSpec) -> None:
    model = _model(architecture, spec=spec)
    weights = torch.cat([p.flatten() for p in model.network.parameters()])
    face = torch.rand(5, 3, 32, 32) * 2 - 1
    expected = _by_definition(model, face)
    got = teachers.Teacher(model, slice_size=2).embed(face, "aligned")
    assert got.shape == (5, 16)
    assert got.dtype == torch.float32
    assert float((got - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    assert torch.equal(torch.cat([p.flatten() for p in model.network.parameters()]), weights)


def test_layers_are_fused_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    assert type(teachers.Teacher(model).network) is IResNet
    monkeypatch.setattr(nn.Module, "to", lambda network, *_, **__: network)  # there may be no such device
    fused = teachers.Teacher(model, device="cuda")
    assert type(model.network) is IResNet
    assert isinstance(fused.network, fx.GraphModule)
    face = torch.rand(5, 3, 32, 32) * 2 - 1
    expected = _by_definition(model, face)
    assert float((fused.embed(face, "aligned") - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("architecture", ["iresnet-simface", "mobilefacenet", "tinyfar-c"])
def test_a_teacher_on_a_gpu_embeds_as_its_model_does(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = _model(architecture)
    face = torch.rand(5, 3, 32, 32) * 2 - 1
    expected = _by_definition(model, face)
    recorder = CudaRecorder(torch.device("cuda", torch.cuda.current_device()))
    for policy, bound in ((precision.FULL, 1e-5), (Policy("bf16", "test"), 2e-2)):
        teacher = teachers.Teacher(model, device="cuda", policy=policy)
        assert isinstance(teacher.network, fx.GraphModule)
        got = teacher.embed(face.cuda(), "aligned")
        assert float((got.cpu() - expected).norm() / expected.norm()) <= bound
        shown = torch.zeros_like(face, device="cuda")
        replay, again = recorder.record(lambda teacher=teacher, shown=shown: teacher.embed(shown, "aligned"))
        shown.copy_(face)
        replay()
        torch.testing.assert_close(again, got, rtol=1e-5, atol=1e-5)


def test_scale_and_order_are_folded_and_a_shift_is_not() -> None:
    scaled = teachers.Teacher(_model(spec=InputSpec(32, order="BGR", scale=0.5)))
    assert scaled.spec == InputSpec(32)
    shifted = InputSpec(32, order="BGR", scale=0.5, shift=0.1)
    assert teachers.Teacher(_model(spec=shifted)).spec == shifted


def test_a_padding_that_a_scale_would_change_is_not_folded() -> None:
    model = _model(spec=InputSpec(32, scale=0.5))
    stem = input_convolution(model.network)
    assert stem is not None
    stem.padding_mode = "reflect"
    assert teachers.Teacher(model).spec == model.spec


@pytest.mark.parametrize("slice_size", [1, 3, 7, 100, None])
def test_slices_change_nothing_but_rounding(slice_size: int | None) -> None:
    model = _model()
    face = torch.rand(7, 3, 32, 32) * 2 - 1
    got = teachers.Teacher(model, slice_size=slice_size).embed(face, "aligned")
    assert torch.allclose(got, _by_definition(model, face).float(), rtol=1e-4, atol=1e-5)


def test_an_empty_batch_has_no_embeddings() -> None:
    assert teachers.Teacher(_model()).embed(torch.zeros(0, 3, 32, 32), "aligned").shape == (0, 16)


def test_embeddings_serve_as_a_target() -> None:
    face = torch.rand(2, 3, 32, 32)
    face.requires_grad_()
    target = teachers.Teacher(_model()).embed(face, "aligned")
    assert not target.requires_grad
    student = torch.zeros(2, 16, requires_grad=True)
    (student - target).square().sum().backward()  # an inference tensor would refuse here
    assert torch.allclose(student.grad, -2 * target)
    assert face.grad is None


def test_a_teacher_sees_the_crop_of_a_frame() -> None:
    teacher = teachers.Teacher(_model())
    wide = torch.rand(2, 3, 64, 64) * 2 - 1
    expected = teacher.embed(view(wide, "ffhq", InputSpec(32)), "aligned")
    assert torch.allclose(teacher.embed(wide, "ffhq"), expected, atol=1e-6)
    assert not torch.allclose(teacher.embed(wide, "aligned"), expected, atol=1e-2)


def test_build_from_a_file_and_refuse_two(tmp_path: Path) -> None:
    meta = ArtefactMeta(name="n", architecture="small", embedding=4)
    for name in ("a", "b"):
        (tmp_path / "students" / name).mkdir(parents=True)
        digest = save(
            tmp_path / "students" / name / "model.safetensors",
            Artefact(networks.build("small", 4, 16), InputSpec(16), meta.model_copy(update={"name": name})),
        )
    teacher = teachers.build(str(tmp_path / "students" / "b" / "model.safetensors"))
    assert (teacher.name, teacher.embedding, teacher.sha256) == ("b", 4, digest)
    with pytest.raises(ArtefactError, match=r"expected one model to teach, got 2 \(a, b\)"):
        teachers.build(str(tmp_path))


def test_teachers_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user_teachers.py").write_text(USER)
    monkeypatch.syspath_prepend(tmp_path)
    face = torch.rand(2, 3, 8, 8)
    own = teachers.build("user_teachers:Mine")
    assert torch.equal(own.embed(face, "aligned"), face.mean((2, 3)))
    wrapped = teachers.build("user_teachers:network")
    assert isinstance(wrapped, teachers.Teacher)
    assert wrapped.embed(face, "aligned").shape == (2, 5)
    with pytest.raises(ArtefactError, match="got one without 'sha256'"):
        teachers.build("user_teachers:Half")
    monkeypatch.delitem(sys.modules, "user_teachers")
