"""Make a run's only student, or its generator, a built-in model: ``python -m sdx.assets RUN`` (from a checkout).

The weights are stored as float16, and a student is verified as it is stored: its scores are those of the file.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from sdx.errors import ArtefactError
from sdx.evaluation import datasets
from sdx.evaluation.verification import evaluate
from sdx.teachers import Teacher
from sdx.weights import artefact, generator
from sdx.weights.model import LoadedModel


def pack(run: Path, folder: Path) -> Path:
    """Write the generator of ``run``, or its student with its scores on the test sets, and return the file.

    Raises ArtefactError unless the run has a generator or exactly one student.
    """
    if (run / "generator.safetensors").exists():
        return _pack_generator(run / "generator.safetensors", folder / "generators")
    files = sorted(run.glob("students/*/model.safetensors"))
    if len(files) != 1:
        raise ArtefactError(f"{run}: expected a run with one student, got {len(files)}")
    made = artefact.load(files[0])
    path = folder / f"{made.meta.name}.safetensors"
    artefact.save(path, made, storage="fp16")
    stored = artefact.load(path)
    model = Teacher(LoadedModel.of(stored))
    results = [evaluate(model, datasets.load(name)) for name in datasets.SIMFACE_SETS]
    scores = {
        r.dataset: {"accuracy": r.accuracy, "std": r.std, "eer": r.eer, "tar_at_far": r.tar_at_far} for r in results
    }
    artefact.save(
        path, dataclasses.replace(stored, meta=stored.meta.model_copy(update={"scores": scores})), storage="fp16"
    )
    return path


def _pack_generator(file: Path, folder: Path) -> Path:
    made = generator.load(file)
    path = folder / f"{made.meta.name}.safetensors"
    generator.save(path, made, storage="fp16")
    return path


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), Path(__file__).parent))
