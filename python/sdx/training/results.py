"""What a run has achieved: the students' artefacts, and verification of students, teacher and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sdx import sources, teachers
from sdx.config import RunConfig
from sdx.devices import CPU
from sdx.evaluation import datasets, verification
from sdx.evaluation.baselines import PixelPca, gap_closed, random_student
from sdx.evaluation.models import remarks
from sdx.sources import CacheSource, IndexSource, LatentSource
from sdx.students import Student
from sdx.teachers import Embedder, Teacher
from sdx.weights import artefact
from sdx.weights.artefact import Artefact
from sdx.weights.metadata import Origin
from sdx.weights.model import LoadedModel

RANDOM_SEEDS = 3
"""Random-weight students that the baseline averages: one seed moves by 3 to 5 points."""
_BASELINE_FACES = 1024


@dataclass(frozen=True)
class Row:
    """One model of the final table: accuracy by verification set, fractions."""

    model: str
    accuracy: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean accuracy over the sets."""
        return fmean(self.accuracy.values())


@dataclass(frozen=True)
class Outcome:
    """The final table of a run, its full results as JSON, and how far each student came."""

    rows: Sequence[Row]
    results: Sequence[Mapping[str, Any]]
    gap_closed: Mapping[str, float]
    remarks: Sequence[str]


def to_artefact(
    config: RunConfig, student: Student, source: LatentSource | IndexSource, teacher: Embedder | None, images_seen: int
) -> Artefact:
    """Return the student with all that is known of where it comes from."""
    chain = [sources.origin(source)]
    if teacher is not None:
        chain.extend(teachers.origins(teacher))
    elif isinstance(source, CacheSource):
        chain.extend((source.description.teacher, *source.description.provenance))
    chosen = next(s for s in config.students if s.name == student.name)
    if chosen.starts_pretrained and student.notice is None:
        chain.append(Origin(role="initial weights", name=f"timm {chosen.architecture}", data="ImageNet photographs"))
    training = (
        f"sdx recipe {config.recipe}, {images_seen} images, loss {config.loss.kind}, sampler {config.sampler.kind}"
    )
    return student.to_artefact(licence="Apache-2.0", provenance=chain, training=training)


def evaluate(
    config: RunConfig,
    students: Sequence[Artefact],
    source: LatentSource | IndexSource,
    teacher: Embedder | None,
    folder: Path,
) -> Outcome:
    """Verify teacher, students and, if configured, the baselines on every set of ``config.eval``.

    Args:
        config: the run.
        students: its students, whose files lie in ``folder``.
        source: where the faces for the baselines come from.
        teacher: the run's teacher.
        folder: the run folder.
    """
    loaded = [Teacher(LoadedModel.of(artefact.load(student_path(folder, s.meta.name)))) for s in students]
    models: list[Any] = [*([teacher] if teacher else []), *loaded]
    randoms: dict[str, list[Teacher]] = {}
    if config.baselines and config.eval:
        faces = sources.held_out(source, _BASELINE_FACES).on(CPU)
        randoms = {
            s.meta.name: [
                random_student(s.meta.architecture, s.meta.embedding, seed, faces.face, source.frame, size=s.spec.size)
                for seed in range(RANDOM_SEEDS)
            ]
            for s in students
        }
        models += [PixelPca(faces.face, source.frame), *(r for group in randoms.values() for r in group)]
    found: dict[int, dict[str, verification.Result]] = {id(model): {} for model in models}
    for name in datasets.expand(config.eval):
        dataset = datasets.load(name)
        for model in models:
            found[id(model)][dataset.name] = verification.evaluate(model, dataset)
    return _outcome(models, found, randoms, teacher, loaded)


def _outcome(
    models: Sequence[Any],
    found: Mapping[int, Mapping[str, verification.Result]],
    randoms: Mapping[str, Sequence[Teacher]],
    teacher: Embedder | None,
    students: Sequence[Teacher],
) -> Outcome:
    def accuracy(model: Any) -> dict[str, float]:
        return {name: result.accuracy for name, result in found[id(model)].items()}

    baseline = {id(r) for group in randoms.values() for r in group}
    rows = [Row(model.name, accuracy(model)) for model in models if id(model) not in baseline and found[id(model)]]
    closed = {}
    for student in students:
        if teacher is not None and (group := randoms.get(student.name)):
            each = [accuracy(r) for r in group]
            rows.append(Row(f"{student.name}, random weights", {k: fmean(a[k] for a in each) for k in each[0]}))
            closed[student.name] = gap_closed(accuracy(student), each, accuracy(teacher))
    results = [result.to_json() for model in models for result in found[id(model)].values()]
    return Outcome(rows, results, closed, remarks(students))


def student_path(folder: Path, name: str) -> Path:
    """Return where a run folder keeps a student."""
    return folder / "students" / name / "model.safetensors"
