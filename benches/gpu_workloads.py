"""The step of `workloads` on a device, as the trainer runs it there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from layer_workloads import LAYERS
from peers import nvidia
from sdx import precision
from sdx.config import LossConfig, OptimizerConfig
from sdx.random import Philox
from sdx.sources.stylegan2 import layer_noise
from sdx.training import losses
from sdx.training.ahead import Ahead
from sdx.training.graphs import Graphed, Recorder, recorder
from sdx.training.learner import Learner
from sdx.types import Batch, Proposal
from sdx_kernels.modulated_conv2d.cost import bytes_of_epilogue
from workloads import Call, Step


class GpuStep(Step):
    """One step, its parts plainly and recorded.

    Args:
        name: of `workloads.SIZES`.
        device: where it runs.
        batch: images.
        record: what records, None for what the device has.
    """

    def __init__(self, name: str, device: torch.device, batch: int, record: Recorder | None = None) -> None:
        super().__init__(name, precision.of(device), device, batch)
        self._record = record or recorder(True, device)
        student = self.students["ours"]
        loss = losses.build(
            LossConfig(),
            embedding=self._sizes.embedding,
            teacher_embedding=self._sizes.embedding,
            classes=0,
            student=student.name,
        ).to(device)
        self._learner = Learner(student, loss, OptimizerConfig(), None, self._record)
        self._ahead = Ahead(self._drawn, device)
        self._overlapped = recorder(record is None, device)  # in a memory of its own, as what runs beside it
        self._halved = Learner(student, loss, OptimizerConfig(), None, self._overlapped)
        self._graphed = {part: Graphed(call, self._record) for part, call in self._functions().items()}

    def _functions(self) -> dict[str, Any]:
        def source(index: Tensor, latent: Tensor) -> Tensor:
            return self.source.draw(index, latent).face

        def frozen(index: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
            face = source(index, latent)
            return face, self.teacher.embed(face, self.source.frame)

        return {"source": source, "frozen": frozen}

    def plain(self, part: str) -> Call:
        """Return a part without graphs."""
        if part in ("step", "overlapped"):
            return self.step_ours
        function = self._functions()[part]
        return lambda: function(self.place, self.latent)

    def recorded(self, part: str) -> Call:
        """Return a part as the trainer runs it: source, frozen, step, or the step with ``overlap``."""
        if part == "overlapped":
            return self._step_ahead
        if part != "step":
            return lambda: self._graphed[part](self.place, self.latent)

        def step() -> float:
            latent = self.source.root(self.index).to(self.device)
            face, target = self._graphed["frozen"](self.place, latent)
            batch = Batch(self.index, face, target=target)
            value, _ = self._learner.step(face, self.source.frame, target, batch, rate=1e-3, progress=0.0)
            return value

        return step

    def _drawn(self, images_seen: int) -> tuple[Proposal, Batch]:
        latent = self.source.root(self.index).to(self.device)
        face, target = self._graphed["frozen"](self.place, latent)
        nothing = torch.zeros(len(self.index))
        return Proposal(self.index, latent, self.index, nothing), Batch(self.index, face, target=target)

    def _step_ahead(self) -> float:
        _, batch = self._ahead.take(0)
        value, _ = self._halved.forward(batch.face, self.source.frame, batch.target, batch, rate=1e-3, progress=0.0)
        self._ahead.draw(0)
        self._halved.backward()
        self._ahead.join()
        return value

    def disagreement(self) -> float:
        """Return the relative distance of the faces drawn from those of the original's way in float32."""
        few = slice(0, 4)
        face = self.source.draw(self.place[few], self.latent[few]).face.float()
        if self._sizes.is_cropped:
            face = interpolate(face, size=(self._sizes.input,) * 2, mode="bilinear")
        noise = layer_noise(self._generator.synthesis, self.index[few], Philox(0))
        exact = self.original_face(self.latent[few], [each.to(self.device) for each in noise])
        return float((face - exact).norm() / exact.norm())

    def epilogue_bytes(self) -> int:
        """Return the bytes of the epilogue kernels of the generator's layers from 16 pixels on."""
        return sum(
            bytes_of_epilogue(
                (len(self.index), outputs, side // up, side // up), torch.bfloat16, up=up, colours=up == 1, arch=90
            )
            for side, _, outputs, up in LAYERS
        )


def nvidia_synthesis(path: Path | None, batch: int) -> tuple[dict[str, Call], dict[str, str]]:
    """Return NVIDIA's own synthesis network at the paper's size in each form, and which are absent and why.

    Its weights are random; float16 is from 32 pixels on, as in their configuration.
    """
    ops = nvidia.load(path)
    if isinstance(ops, str):
        return {}, {nvidia.NAME: ops}
    return {name: _nvidia_network(ops, batch, *form) for name, form in nvidia.FORMS.items()}, {}


def _nvidia_network(ops: nvidia.Ops, batch: int, fused: bool, channels_last: bool) -> Call:
    network = ops.network(
        w_dim=512, img_resolution=256, img_channels=3, channel_base=16384, num_fp16_res=4, conv_clamp=256,
        fp16_channels_last=channels_last,
    )  # fmt: skip
    network = network.eval().requires_grad_(False).cuda()
    ws = torch.randn(batch, network.num_ws, 512, device="cuda")

    def call() -> Tensor:
        with torch.no_grad():
            image: Tensor = network(ws, noise_mode="random", fused_modconv=fused)
        return image

    return call
