"""The steps that are measured, a newcomer's and one of the paper's sizes: ours, the original's way, and the floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from peers import original
from sdx import networks, precision, students
from sdx.devices import CPU
from sdx.networks.stylegan2 import Generator, GeneratorConfig
from sdx.random import Philox
from sdx.slices import over_slices
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.students import Student
from sdx.teachers import Teacher
from sdx.types import InputSpec
from sdx.weights.generator import GeneratorArtefact, GeneratorMeta
from sdx.weights.model import LoadedModel

Call = Callable[[], Any]


@dataclass(frozen=True)
class Sizes:
    """Networks and batch of a step; weights are random, for they do not change its time."""

    generator: GeneratorConfig
    teacher: str
    embedding: int
    students: tuple[str, str, str]
    """The first is the one of a step with one student."""
    input: int
    batch: int
    is_cropped: bool


SIZES = {
    "demo": Sizes(
        GeneratorConfig(64, z_dim=93, w_dim=160, mapping_layers=2, channel_base=1024, channel_max=128),
        "iresnet-simface",
        256,
        ("small", "small", "small"),
        64,
        64,
        False,
    ),
    "paper": Sizes(GeneratorConfig(256), "iresnet100", 512, ("tinyfar-a", "tinyfar-b", "tinyfar-c"), 112, 8, True),
}


class Step:
    """One step cut into its parts, each a call without arguments.

    Args:
        name: of `SIZES`.
        policy: number format of ours; the original's way is float32.
        device: where all of it runs.
        batch: images, None for the size's own.
    """

    def __init__(
        self,
        name: str,
        policy: precision.Policy,
        device: torch.device = CPU,
        batch: int | None = None,
    ) -> None:
        sizes = SIZES[name]
        self.device = device
        torch.manual_seed(0)
        generator = Generator(sizes.generator).eval().requires_grad_(False)
        for layer in generator.synthesis.layers():
            layer.noise_strength.fill_(0.1 if name == "paper" else 0.0)
        frame = "ffhq" if sizes.is_cropped else "aligned"
        made = GeneratorArtefact(generator, GeneratorMeta(name=name, frame=frame))
        self.source = StyleGAN2Source(
            made, psi=1.0, noise="random", size=None, random=Philox(0), dtype=policy.convolutions, device=device
        )
        self._network = networks.build(sizes.teacher, sizes.embedding, sizes.input).eval().requires_grad_(False)
        spec = InputSpec(sizes.input, scale=0.99609375)
        model = LoadedModel(sizes.teacher, self._network, spec, "", (), "", sizes.embedding)
        self.teacher = Teacher(model, device=device, policy=policy)
        first, *further = sizes.students
        self.students = {"ours": _student(first, sizes, policy), "original": _student(first, sizes, precision.FULL)}
        self.further = [f"further {number}" for number in range(len(further))]
        self.students |= {key: _student(name, sizes, policy) for key, name in zip(self.further, further, strict=True)}
        self.students["original"].network.to(memory_format=torch.contiguous_format)
        for student in self.students.values():
            student.to(device)
        self._network.to(device)
        self._optimizers = {key: torch.optim.Adam(s.parameters()) for key, s in self.students.items()}
        self._sizes = sizes
        self._generator = generator.to(device)
        self.index = torch.arange(batch or sizes.batch)
        self.place = self.index.to(device)
        self.latent = self.source.root(self.index).to(device)
        self.face = self.source.draw(self.place, self.latent).face
        self.target = self.teacher.embed(self.face, self.source.frame)

    def ours(self, part: str) -> Call:
        """Return our way to do a part: source, teacher, frozen (both), student, bookkeeping, step, step_of_three."""
        return {
            "frozen": lambda: (self.source_ours(), self.teacher_ours()),
            "bookkeeping": self.bookkeeping_ours,
            "source": self.source_ours,
            "teacher": self.teacher_ours,
            "student": self.student_ours,
            "step": self.step_ours,
            "step_of_three": lambda: (self.step_ours(), self.further_students()),
        }[part]

    def peer(self, part: str, name: str) -> Call:
        """Return what a part is compared with."""
        if name == "floor":
            return self._floor(part)
        return {
            ("frozen", "original"): lambda: (self.source_original(), self.teacher_original()),
            ("source", "original"): self.source_original,
            ("teacher", "original"): self.teacher_original,
            ("student", "original"): self.student_original,
            ("step", "original"): self.step_original,
            ("step_of_three", "step of one"): self.step_ours,
            ("step_of_three", "two further students"): self.further_students,
        }[part, name]

    def _floor(self, part: str) -> Call:
        if part == "frozen":
            source, teacher = self._floor("source"), self._floor("teacher")
            return lambda: (source(), teacher())
        size = self.source.synthesis.slice_size if part == "source" else self.teacher.slice_size
        return bare_convolutions(self.ours(part), len(self.index), size or len(self.index))

    def source_ours(self) -> Tensor:
        """Draw a batch."""
        return self.source.draw(self.place, self.latent).face

    def source_original(self) -> Tensor:
        """Draw a batch and crop it, with noise from torch's generator."""
        layers = self._generator.synthesis.layers()
        noise: list[Tensor | None] = [
            torch.randn(len(self.index), 1, *layer.noise_const.shape, device=self.device)
            if float(layer.noise_strength)
            else None
            for layer in layers
        ]
        return self.original_face(self.latent, noise)

    def original_face(self, latent: Tensor, noise: list[Tensor | None]) -> Tensor:
        """Draw and crop in the original's way."""
        with torch.no_grad():
            image = original.draw(self._generator, latent, noise)
            return original.crop(image, self._sizes.input) if self._sizes.is_cropped else image.clamp(-1, 1)

    def teacher_ours(self) -> Tensor:
        """Embed a batch."""
        return self.teacher.embed(self.face, self.source.frame)

    def teacher_original(self) -> Tensor:
        """Embed a batch, unfolded."""
        with torch.no_grad():
            return original.embed(self._network, self._small_face)

    def student_ours(self) -> Tensor:
        """Take one step of the student."""
        return self._learn("ours", self.face)

    def student_original(self) -> Tensor:
        """Take one step of the student in float32, NCHW."""
        return self._learn("original", self._small_face, is_plain=True)

    def bookkeeping_ours(self) -> Tensor:
        """Draw the latents and noise of a batch."""
        self.source._layer_noise(self.index)
        return self.source.root(self.index)

    def step_ours(self) -> Tensor:
        """Take the whole step."""
        latent = self.source.root(self.index).to(self.device)
        face = self.source.draw(self.place, latent).face
        self.target = self.teacher.embed(face, self.source.frame)
        return self._learn("ours", face)

    def further_students(self) -> list[Tensor]:
        """Take one step of each of the further students."""
        return [self._learn(key, self.face) for key in self.further]

    def step_original(self) -> Tensor:
        """Take the whole step in the original's way."""
        with torch.no_grad():
            self.latent = self._generator.mapping(
                torch.randn(len(self.index), self._sizes.generator.z_dim, device=self.device)
            )
        face = self.source_original()
        with torch.no_grad():
            self.target = original.embed(self._network, face)
        return self._learn("original", face, is_plain=True)

    @property
    def _small_face(self) -> Tensor:
        if self._sizes.is_cropped:
            return nn.functional.interpolate(self.face, size=(self._sizes.input,) * 2, mode="bilinear")
        return self.face

    def _learn(self, key: str, face: Tensor, *, is_plain: bool = False) -> Tensor:
        student, optimizer = self.students[key].train(), self._optimizers[key]
        embedding = student.network(face) if is_plain else student(face, self.source.frame)
        loss = (embedding - self.target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()


def _student(architecture: str, sizes: Sizes, policy: precision.Policy) -> Student:
    return students.build("student", architecture, sizes.embedding, size=sizes.input, policy=policy)


def bare_convolutions(call: Call, batch: int, slice_size: int) -> Call:
    """Return a call of nothing but the convolutions of ``call``, low-pass filters among them: same shapes, layout,
    format and slices. Colours run as matrix products and are not counted."""
    recorder = _Recorder()
    with recorder:
        call()
    rows = min(slice_size, batch)
    whole = [entry for entry in recorder.found if len(entry[1]) == rows]
    each = whole[: len(whole) // max(1, batch // rows)]  # every full slice repeats the same ones
    if not each:
        raise AssertionError("expected convolutions, recorded none")

    def run(part: Tensor) -> Tensor:
        for operation, x, arguments, options in each:
            operation(x[: len(part)], *arguments, **options)
        return part

    return lambda: over_slices(run, [torch.zeros(batch, 1)], slice_size)


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Any, Tensor, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _CONVOLUTIONS:
            layout = torch.channels_last if args[0].is_contiguous(memory_format=torch.channels_last) else None
            x = torch.randn_like(args[0], memory_format=layout or torch.preserve_format)
            self.found.append((func, x, tuple(args[1:]), kwargs))
        return func(*args, **kwargs)


_CONVOLUTIONS = {
    torch.ops.aten.convolution.default,
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.conv_transpose2d.input,
}
