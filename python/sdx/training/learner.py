"""One student in training: its weights, its loss, its optimiser and its averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sdx.config import OptimizerConfig
from sdx.errors import SdxError
from sdx.networks import own
from sdx.students import Student
from sdx.training import optimizer
from sdx.training.graphs import Graphed, Halves, Recorder
from sdx.training.losses import Loss
from sdx.types import Batch, Frame

_Gradients = tuple[Tensor | None, ...]
"""The gradients of all parameters in order, None for one that has no part in the loss."""


class TrainingError(SdxError):
    """A run that cannot go on: the loss is not a number."""


class Learner:
    """A student and everything that one optimiser step on it needs.

    Args:
        student: the network that learns.
        loss: its loss, with the parameters of a head if it has one.
        config: optimiser and schedule.
        ema: half-life of the averaged weights in images, None for none.
        recorder: what records forward and backward pass, None to call them plainly; so are they with a network of the
            user's, or a loss that is not `Loss.capturable`.
    """

    def __init__(
        self, student: Student, loss: Loss, config: OptimizerConfig, ema: int | None, recorder: Recorder | None = None
    ) -> None:
        self.student = student
        self.loss = loss
        self._config = config
        self._half_life = ema
        self._averaged = copy.deepcopy(student).eval().requires_grad_(False) if ema else None
        groups: list[dict[str, Any]] = [{"params": list(student.parameters()), "multiplier": 1.0}]
        if head := list(loss.parameters()):
            groups.append({"params": head, "multiplier": config.head_lr})
        self.optimizer = optimizer.build(config, groups)
        self._parameters = [*student.parameters(), *head]
        is_capturable = getattr(loss, "capturable", False) and not own.is_own(student.architecture)
        self._recorder = recorder if is_capturable else None
        self._graphed: dict[Frame, Graphed[tuple[Tensor, Tensor, _Gradients]]] = {}
        self._halves: dict[Frame, Halves[tuple[Tensor, Tensor], _Gradients]] = {}
        self._differentiable = torch.empty(0)  # the loss between forward and backward pass
        self._begun: tuple[Callable[[], _Gradients], int] | None = None  # backward pass that is due, and its images

    @property
    def name(self) -> str:
        """The student's name."""
        return self.student.name

    @property
    def result(self) -> Student:
        """The student to verify and to keep: the averaged one where there is one."""
        return self._averaged or self.student

    def step(
        self, face: Tensor, frame: Frame, target: Tensor | None, batch: Batch, *, rate: float, progress: float
    ) -> tuple[float, Tensor]:
        """Take one optimiser step and return the loss and the cosine [B] before it.

        Args:
            face: float32 [B, 3, S, S], the student's view.
            frame: how faces sit in their images.
            target: float32 [B, D] of the teacher, or None.
            batch: the batch it belongs to, for labels.
            rate: learning rate.
            progress: share of the run's images seen.

        Raises TrainingError before the step if the loss is not finite, so that the weights stay sound.
        """
        self._prepare(rate)
        loss, similarity, gradients = self._differentiate(face, frame, target, batch, progress)
        value = self._checked(loss, batch)
        self._update(gradients, len(batch))
        return value, similarity

    def forward(
        self, face: Tensor, frame: Frame, target: Tensor | None, batch: Batch, *, rate: float, progress: float
    ) -> tuple[float, Tensor]:
        """Take the first half of `step`, of the same arguments, value and errors; `backward` takes the second."""
        self._prepare(rate)
        halves = self._both_halves(frame, batch, progress)
        loss, similarity = halves(face, target)
        value = self._checked(loss, batch)
        self._begun = halves.second, len(batch)
        return value, similarity

    def backward(self) -> None:
        """Take the second half of the step that `forward` began: gradients, optimiser, averaged weights."""
        if self._begun is None:
            raise AssertionError("a forward pass comes before its backward pass")
        (second, images), self._begun = self._begun, None
        self._update(second(), images)

    def _prepare(self, rate: float) -> None:
        self.student.train()
        self.loss.train()
        optimizer.set_rate(self.optimizer, rate)

    def _checked(self, loss: Tensor, batch: Batch) -> float:
        value = float(loss)
        if not math.isfinite(value):
            raise TrainingError(
                f"student {self.name}: expected a finite loss, got {value} at images {batch.index[0]} to "
                f"{batch.index[-1]}; lower optimizer.lr or set optimizer.clip, then resume from the last checkpoint"
            )
        return value

    def _update(self, gradients: _Gradients, images: int) -> None:
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient  # of this graph, for each batch size has its own
        if self._config.clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        self.optimizer.step()
        if self._averaged is not None and self._half_life is not None:
            optimizer.average(self._averaged, self.student, 0.5 ** (images / self._half_life))

    def _differentiate(
        self, face: Tensor, frame: Frame, target: Tensor | None, batch: Batch, progress: float
    ) -> tuple[Tensor, Tensor, _Gradients]:
        if self._recorder is None:
            return self._gradients(frame, batch, progress, face, target)
        if frame not in self._graphed:
            # The loss looks at neither batch nor progress, or it would not be recorded.
            function = partial(self._gradients, frame, batch, progress)
            self._graphed[frame] = Graphed(function, self._recorder, self._changes)
        return self._graphed[frame](face, target)

    def _both_halves(self, frame: Frame, batch: Batch, progress: float) -> Halves[tuple[Tensor, Tensor], _Gradients]:
        function = partial(self._look, frame, batch, progress)
        if self._recorder is None:
            return Halves(function, self._learn, None)
        if frame not in self._halves:
            self._halves[frame] = Halves(function, self._learn, self._recorder, self._changes)
        return self._halves[frame]

    def _gradients(
        self, frame: Frame, batch: Batch, progress: float, face: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor, _Gradients]:
        loss, similarity = self._look(frame, batch, progress, face, target)
        return loss, similarity, self._learn()

    def _look(
        self, frame: Frame, batch: Batch, progress: float, face: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)  # so that the pass writes gradients and adds to none
        self._differentiable, similarity = self.loss(self.student(face, frame), target, batch, progress)
        return self._differentiable.detach(), similarity

    def _learn(self) -> _Gradients:
        self._differentiable.backward()  # type: ignore[no-untyped-call]  # torch types no backward
        self._differentiable = torch.empty(0)  # with it goes what the forward pass kept
        return tuple(parameter.grad for parameter in self._parameters)

    def _changes(self) -> list[Tensor]:
        """Return what a pass in training mode changes: BatchNorm's statistics."""
        return [*self.student.buffers(), *self.loss.buffers()]

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimiser moments and averaged weights."""
        return {
            "student": self.student.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self._averaged.state_dict() if self._averaged else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over `state_dict`'s value."""
        self.student.load_state_dict(state["student"])
        self.loss.load_state_dict(state["loss"])
        optimizer.load(self.optimizer, state["optimizer"])
        if self._averaged is not None:
            self._averaged.load_state_dict(state["averaged"])
