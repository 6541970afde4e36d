"""The training loop, the same for distillation, labelled distillation and the training of teachers.

    propose -> draw -> teacher -> view -> students' steps -> observe

Everything periodic is decided by images seen, and all randomness is keyed by image number, so a run that was stopped
and resumed is the run that was not.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sdx import sources
from sdx.config import RunConfig
from sdx.sources import IndexSource, LatentSource
from sdx.teachers import Embedder
from sdx.training import augment, graphs, sampling, schedule
from sdx.training.ahead import Ahead
from sdx.training.evidence import Evidence
from sdx.training.frozen import Frozen
from sdx.training.interruption import Interrupted, Interruption
from sdx.training.learner import Learner
from sdx.training.sampling import Sampler
from sdx.training.tracking import Display, Metrics
from sdx.types import Batch, Proposal, Random


class Trainer:
    """Trains all students of a run from one source and one teacher pass.

    Args:
        config: the run.
        source: where faces come from.
        teacher: what embeds them, None for labels alone.
        learners: the students, at least one.
        sampler: what decides which faces are drawn.
        random: random numbers of the run's seed.
        metrics: the run's log.
        device: where everything but the sampler is.
        record: called after every batch with its proposal and the similarity [students, B] before the step.
        evaluate: called at every ``eval_every`` with images seen.
        checkpoint: called at every ``checkpoint_every``, at the end, and before an interruption, with images seen.
    """

    def __init__(
        self,
        config: RunConfig,
        source: LatentSource | IndexSource,
        teacher: Embedder | None,
        learners: Sequence[Learner],
        sampler: Sampler,
        random: Random,
        metrics: Metrics,
        device: torch.device,
        record: Callable[[Proposal, Tensor], None],
        evaluate: Callable[[int], None],
        checkpoint: Callable[[int], None],
    ) -> None:
        self.config = config
        self.source = source
        # A recorder of its own: its graphs share no memory with the students'.
        recorder = graphs.recorder(config.graphs, device)
        self.frozen = Frozen(source, teacher, config.augment, random, device, recorder)
        self.device = device
        self.learners = learners
        self.sampler = sampler
        self.random = random
        self.metrics = metrics
        self._record = record
        self._evaluate = evaluate
        self._checkpoint = checkpoint
        self._ahead = Ahead(self._draw, device) if config.overlap else None
        self._stops = False  # asked to, so that nothing more is to be drawn ahead
        self._previous: tuple[Tensor, Tensor] | None = None  # index and teacher embedding of the batch before
        self._held_out: tuple[Batch, Tensor | None] | None = None

    def run(self, images_seen: int = 0) -> int:
        """Train until ``config.images`` are seen and return their number; raises Interrupted if asked to stop."""
        display = Display(self.config.images, images_seen)
        clock = (time.perf_counter(), images_seen)
        with Interruption() as interruption, contextlib.closing(display):
            while images_seen < self.config.images:
                before = images_seen
                self._stops = interruption.asked
                row = self.step(before)
                images_seen += row.pop("images")
                display.update(images_seen, row["loss"], row["cosine"])
                if schedule.due(self.config.log_every, before, images_seen):
                    rate = (images_seen - clock[1]) / (time.perf_counter() - clock[0])
                    self.metrics.write("train", images_seen, images_per_second=round(rate, 1), **row)
                    clock = (time.perf_counter(), images_seen)
                if schedule.due(self.config.validate_every, before, images_seen):
                    self.metrics.write("validate", images_seen, students=self.validate())
                if schedule.due(self.config.eval_every, before, images_seen):
                    self._evaluate(images_seen)
                # A batch drawn ahead has moved the sampler on: its step is taken before the state is kept.
                stops = interruption.asked and not (self._ahead and self._ahead.has_drawn)
                if stops or schedule.due(self.config.checkpoint_every, before, images_seen):
                    self._checkpoint(images_seen)
                if stops:
                    raise Interrupted
        return images_seen

    def step(self, images_seen: int) -> dict[str, Any]:
        """Train every student on one batch and return what there is to log."""
        progress = min(images_seen / self.config.images, 1.0)
        rate = schedule.learning_rate(self.config.optimizer, images_seen, self.config.images)
        proposal, batch = self._ahead.take(images_seen) if self._ahead else self._draw(images_seen)
        view = augment.student_view(self.config.augment, batch.face, batch, self.random)
        # A user's network may hold dropout, which reads torch's generator: keyed like all else, it survives resuming.
        torch.manual_seed(self.config.seed ^ images_seen)
        take = Learner.forward if self._ahead else Learner.step
        steps = {
            learner.name: take(learner, view, self.source.frame, batch.target, batch, rate=rate, progress=progress)
            for learner in self.learners
        }
        similarity = torch.stack([similarity for _, similarity in steps.values()]).cpu()  # [students, B]
        sampling.observe(self.sampler, proposal, similarity, Evidence(batch, self.frozen))
        self._record(proposal, similarity)
        row = {
            "images": len(batch),
            "loss": sum(loss for loss, _ in steps.values()) / len(steps),
            "cosine": float(similarity.mean()),
            "lr": rate,
            "students": {
                name: {"loss": loss, "cosine": float(own.mean())}
                for (name, (loss, _)), own in zip(steps.items(), similarity, strict=True)
            },
            **self._lineage(proposal, batch.target),
        }
        if self._ahead:
            self._go_on(self._ahead, images_seen, images_seen + len(batch))
        return row

    def _draw(self, images_seen: int) -> tuple[Proposal, Batch]:
        proposal = self.sampler.propose(self.config.batch, images_seen)
        return proposal, self.frozen(proposal)

    def _go_on(self, ahead: Ahead, before: int, images_seen: int) -> None:
        """Draw the next batch, if there is one and no state is kept before it; beside that the students learn."""
        is_last = images_seen >= self.config.images or self._stops
        if not is_last and not schedule.due(self.config.checkpoint_every, before, images_seen):
            ahead.draw(images_seen)
        for learner in self.learners:
            learner.backward()
        ahead.join()

    def validate(self) -> dict[str, dict[str, float]]:
        """Return each student's loss and cosine on the held-out faces, in evaluation mode."""
        if self.config.held_out == 0:
            return {}
        if self._held_out is None:
            batch = sources.held_out(self.source, self.config.held_out).on(self.device)
            self._held_out = (batch, self.frozen.target(batch))
        batch, target = self._held_out
        found = {}
        for learner in self.learners:
            student = learner.result.eval()
            with torch.inference_mode():
                parts = [student(part, self.source.frame) for part in torch.split(batch.face, self.config.batch)]
                loss, similarity = learner.loss(torch.cat(parts), target, batch, 1.0)
            found[learner.name] = {"loss": float(loss), "cosine": float(similarity.mean())}
        return found

    def _lineage(self, proposal: Proposal, target: Tensor | None) -> dict[str, float]:
        """Return size of the noise and the teacher's cosine(w, w') where this batch neighbours the one before."""
        previous, self._previous = self._previous, None if target is None else (proposal.index, target.clone())
        if bool((proposal.parent < 0).all()):
            return {}
        found = {"noise": float(proposal.scale.mean())}
        if previous is not None and target is not None and torch.equal(previous[0], proposal.parent):
            found["teacher_cosine_to_parent"] = float(cosine_similarity(previous[1], target).mean())
        return found
