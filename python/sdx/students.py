"""The networks that learn."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sdx import networks
from sdx.align import view
from sdx.networks import timm_net
from sdx.networks.tinyfar import TinyFaR
from sdx.precision import FULL, Policy
from sdx.types import Frame, InputSpec
from sdx.weights.artefact import Artefact
from sdx.weights.metadata import ArtefactMeta, Origin

_log = logging.getLogger(__name__)


class Student(nn.Module):
    """A network to be trained, with the name of its run folder and the input it owns.

    Args:
        name: unique within a run.
        architecture: see `sdx.networks.build`.
        network: [B, 3, size, size] -> [B, embedding].
        spec: the network's input.
        embedding: size of the embedding.
        notice: what the user should know of how it starts, None if nothing.
    """

    def __init__(
        self,
        name: str,
        architecture: str,
        network: nn.Module,
        spec: InputSpec,
        embedding: int,
        *,
        notice: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.architecture = architecture
        self.network = network.to(memory_format=torch.channels_last)
        self.spec = spec
        self.embedding = embedding
        self.notice = notice
        self.in_half = False
        """Whether convolutions run in bfloat16, in training and out of it; weights and files are float32 either way."""

    def forward(self, face: Tensor, frame: Frame) -> Tensor:
        """Return raw embeddings, float32 [B, embedding], of faces float32 [B, 3, S, S], RGB in [-1, 1]."""
        seen = view(face, frame, self.spec).contiguous(memory_format=torch.channels_last)
        with torch.autocast(face.device.type, torch.bfloat16, enabled=self.in_half):
            embedding: Tensor = self.network(seen)
        return embedding.float()

    def to_artefact(
        self,
        *,
        licence: str,
        provenance: Sequence[Origin] = (),
        training: str = "",
        scores: Mapping[str, Any] | None = None,
    ) -> Artefact:
        """Return the student as a complete artefact on the host, ready for `sdx.weights.artefact.save`.

        Args:
            licence: of the weights themselves; the chain may bind them further.
            provenance: what they come from, the nearest first.
            training: how they were trained, in words.
            scores: figures measured on this very student, by verification set.
        """
        meta = ArtefactMeta(
            name=self.name,
            architecture=self.architecture,
            embedding=self.embedding,
            licence=licence,
            provenance=tuple(provenance),
            training=training,
            scores=dict(scores or {}),
        )
        on_host = all(parameter.device.type == "cpu" for parameter in self.network.parameters())
        network = self.network if on_host else copy.deepcopy(self.network).cpu()
        return Artefact(network, self.spec, meta)


def build(
    name: str,
    architecture: str,
    embedding: int,
    *,
    size: int | None = None,
    pretrained: bool = False,
    policy: Policy = FULL,
) -> Student:
    """Return a fresh student; its weights come from torch's global generator, so seed that first.

    Args:
        name: unique within a run.
        architecture: see `sdx.networks.build`, which raises ConfigError for an unknown one; a ``module:Name`` is taken
            for one that the user has named.
        embedding: size of the embedding, by custom the teacher's.
        size: side of the input in pixels; what the architecture is made for unless given.
        pretrained: start from timm's ImageNet weights where this machine holds them; ``notice`` says so (and a
            warning is logged) where it does not, or where the architecture has none.
        policy: format of the convolutions. Networks with depthwise ones stay in float32: those take twice as long in
            bfloat16 on a CPU, and there is next to nothing to gain from the others.
    """
    side = networks.default_size(architecture) if size is None else size
    if networks.own.is_own(architecture):
        networks.own.allow(architecture)
    network = networks.build(architecture, embedding, side)
    notice = None
    if pretrained:
        reason = timm_net.load_imagenet(network.cnn if isinstance(network, TinyFaR) else network)
        if reason is not None:
            notice = f"student {name}: {reason}"
            _log.warning(notice)
    student = Student(name, architecture, network, InputSpec(side), embedding, notice=notice)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    student.in_half = policy.name == "bf16" and all(module.groups == 1 for module in convolutions)
    return student


def calibrate_batchnorm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every BatchNorm's statistics to their mean over ``batches``, nothing else; what random weights need to see.

    Args:
        network: changed in place; every module's mode and momentum are as before.
        batches: inputs float32 [B, 3, size, size] of one B, at least one batch; ValueError if there is none.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momentum = [norm.momentum for norm in norms]
    seen = 0
    try:
        with networks.evaluating(network), torch.no_grad():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # torch's way to ask for the plain mean over batches
                norm.train()
            for batch in batches:
                network(batch)
                seen += 1
    finally:
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value
    if seen == 0:
        raise ValueError("expected at least one batch to take BatchNorm statistics from, got none")
