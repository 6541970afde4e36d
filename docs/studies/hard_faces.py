"""Which faces does `pool` take for hard, and which are hard for the student that it made?

    python docs/studies/hard_faces.py IMAGES FOLDER [key=value ...]

Trains the demo's student with sampler=pool through the renderer, whose latents are parameters, and through the embedded
generator, whose faces' parameters are read by a network; each with and without the teacher's reliability. Prints means
of parameters with 95 % intervals, over held-out faces, over what the final student misses of them, and over the pool by
priority, and draws docs/images/hard-faces.png. A run in FOLDER is not run again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from generator import reader
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sdx import _core, config, recipes, sources, teachers
from sdx.config import SourceConfig
from sdx.random import Philox
from sdx.simface import parameters
from sdx.simface.capture import effective_size
from sdx.simface.traits import derive
from sdx.sources import LatentSource
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.training import run
from sdx.training.lineage import Lineage
from sdx.types import HELD_OUT

PICTURE = Path(__file__).resolve().parent.parent / "images" / "hard-faces.png"
HELD, BATCH, READER = 4096, 256, 16_384
SHARES = (0.0, 0.5)
"""Values of sampler.reliability."""
NUMBERS = (
    "absolute yaw, degrees",
    "absolute pitch, degrees",
    "lamp's absolute azimuth, degrees",
    "lamp's share of the light",
)
SIZES = ("pixels of the capture", "blur, pixels")
SHOWN = {"all faces": "C7", "hardest tenth": "C0", "pool": "C3", "pool's roots": "C1"}
"""Samples in the figure."""


@dataclass(frozen=True)
class Sample:
    """Faces with weights: parameters by name, each float32 [n], weight float32 [n]."""

    name: str
    values: dict[str, Tensor]
    weight: Tensor

    def mean(self, key: str) -> tuple[float, float]:
        """Return the weighted mean and half its 95 % interval."""
        w, x = self.weight.double(), self.values[key].double()
        mean = (w * x).sum() / w.sum()
        return float(mean), float(1.96 * (w * (x - mean)).square().sum().sqrt() / w.sum())


def of_latent(latent: Tensor) -> dict[str, Tensor]:
    """Return the parameters that are compared, float32 [n] each, of SimFace latents [n, L]."""
    t = derive(latent, "wild")
    found = {
        "absolute yaw, degrees": t["yaw"].abs(),
        "absolute pitch, degrees": t["pitch"].abs(),
        "lamp's absolute azimuth, degrees": t["light_azimuth"].abs(),
        "lamp's share of the light": torch.sigmoid(0.9 * t["light_contrast"] + 0.2),
        "pixels of the capture": effective_size(t),
        "blur, pixels": (0.20 + 0.40 * t["blur"]).clamp(0.0, 2.2),
        "something in front": (t["occlusion"] > 1.1).float(),
        "glasses": (t["spectacles"] > 0.5).float(),
    }
    group = parameters.group(latent, "wild")
    return found | {f"group {g}": (group == g).float() for g in range(parameters.GROUPS)}


def parameters_of(source: LatentSource) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Return what tells the parameters of image numbers and latents: known of the renderer, else read from faces."""
    if not isinstance(source, StyleGAN2Source):
        return lambda index, latent: of_latent(latent)
    look = reader(source, READER)
    return lambda index, latent: of_latent(in_slices(lambda i, part: look(source.draw(i, part).face), index, latent))


def trained(kind: str, share: float, images: int, folder: Path, extra: dict[str, str]) -> Path:
    """Return the folder of a run, which is made if it is not there."""
    path = folder / f"{kind}-{share:g}"
    if not (path / "summary.json").exists():
        keys = {"source": kind, "sampler": "pool", "sampler.reliability": str(share), "images": str(images)}
        off = {"eval": "none", "baselines": "false", "validate_every": "none", "checkpoint_every": "none"}
        run.train(config.override(recipes.get("demo"), keys | off | extra), path)
    return path


def in_slices(function: Callable[[Tensor, Tensor], Tensor], index: Tensor, latent: Tensor) -> Tensor:
    """Return ``function`` of image numbers and latents, batch by batch."""
    pairs = zip(index.split(BATCH), latent.split(BATCH), strict=True)
    return torch.cat([function(i, part) for i, part in pairs])


def samples(path: Path, source: LatentSource, read: Callable[[Tensor, Tensor], dict[str, Tensor]]) -> list[Sample]:
    """Return held-out faces, evenly, by the final student's gap and its hardest tenth; the pool by priority; its roots.

    A step away from a face widens the spread of every parameter, hard or not: roots have not been moved.
    """
    index = torch.arange(HELD_OUT, HELD_OUT + HELD)
    gap, reliability = cosines(path, source, index, source.root(index)).unbind(1)
    low, high = reliability.quantile(torch.tensor([0.1, 0.9])).tolist()
    both = float(np.corrcoef(gap.numpy(), reliability.numpy())[0, 1])
    print(f"{path.name}: final gap on held-out faces {gap.mean():.3f} ± {gap.std():.3f} (deviation)")
    print(
        f"  reliability {reliability.mean():.3f} (10 %, 90 %: {low:.3f}, {high:.3f}), correlation with gap {both:+.3f}"
    )
    prior = read(index, source.root(index))
    index, latent, entries = remembered(path, source)
    kept = torch.from_numpy(entries.priority)
    now = cosines(path, source, index, latent)[:, 0]
    print(f"  final gap on the pool {now.mean():.3f}, by priority {(now * kept).sum() / kept.sum():.3f};", end=" ")
    print(f"its correlation with the priority of old {np.corrcoef(kept.numpy(), now.numpy())[0, 1]:+.3f}", flush=True)
    pool = read(index, latent)
    return [
        Sample("all faces", prior, torch.ones(HELD)),
        Sample("by final gap", prior, gap),
        Sample("hardest tenth", prior, (gap >= gap.quantile(0.9)).float()),
        Sample("pool", pool, kept),
        Sample("pool's roots", pool, kept * torch.from_numpy(entries.hops == 0)),
    ]


def cosines(path: Path, source: LatentSource, index: Tensor, latent: Tensor) -> Tensor:
    """Return a finished student's gap and the teacher's reliability on faces, float32 [n, 2]."""
    teacher = teachers.build("simface-teacher")
    student = teachers.build(str(path / "students" / "small" / "model.safetensors"))

    def look(i: Tensor, part: Tensor) -> Tensor:
        face = source.draw(i, part).face
        target = teacher.embed(face, source.frame)
        mirrored = teacher.embed(face.flip(3), source.frame)
        own = student.embed(face, source.frame)
        return torch.stack([1 - cosine_similarity(own, target), cosine_similarity(mirrored, target)], 1)

    return in_slices(look, index, latent)


def remembered(path: Path, source: LatentSource) -> tuple[Tensor, Tensor, _core.PoolEntries]:
    """Return number, latent and record of the faces in a finished run's pool, hardest first."""
    state = load_file(sorted(path.glob("checkpoints/*.safetensors"))[-1])
    pool = _core.LatentPool.restore(state["sampler/pool"].numpy())
    entries = pool.entries(pool.hardest(len(pool)))
    lineage = Lineage(entries.root, entries.hops, entries.index, entries.scale)
    last = np.where(entries.hops > 0, entries.index[np.arange(len(pool)), entries.hops - 1], entries.root)
    print(f"  {path.name}: {len(pool)} faces in the pool, by hops {np.bincount(entries.hops).tolist()}; ", end="")
    print(f"mean reliability {entries.reliability.mean():.3f}, similarity {entries.latest.mean():.3f}", flush=True)
    return torch.from_numpy(last), lineage.latent(source, Philox(0)), entries


def table(title: str, found: list[Sample], keys: list[str]) -> None:
    """Print the means of ``keys``, a column a sample."""
    print(f"\n| {title} | " + " | ".join(sample.name for sample in found) + " |\n|---|" + "---|" * len(found))
    for key in keys:
        cells = []
        for mean, half in (sample.mean(key) for sample in found):
            places = 3 if mean < 2 else 1
            cells.append(f"{mean:.{places}f} ± {half:.{places}f}")
        print(f"| {key} | " + " | ".join(cells) + " |")


def shown(found: list[Sample]) -> list[Sample]:
    """Return the samples of the figure."""
    return [sample for sample in found if sample.name in SHOWN]


def curves(axes: Axes, found: list[Sample], key: str, title: str) -> None:
    """Draw the distributions of a parameter in the samples of `SHOWN`."""
    limits = found[0].values[key].quantile(torch.tensor([0.002, 0.998])).tolist()
    bins = np.linspace(limits[0], limits[1], 25)
    for sample in shown(found):
        values, weight = sample.values[key].numpy(), sample.weight.numpy()
        axes.hist(
            values, bins, weights=weight, density=True, histtype="step", label=sample.name, color=SHOWN[sample.name]
        )
    axes.set_xlabel(key, fontsize=8)
    axes.set_title(title, fontsize=8)
    axes.set_yticks([])


def bars(axes: Axes, found: list[Sample], keys: list[str]) -> None:
    """Draw shares with their intervals."""
    for number, sample in enumerate(shown(found)):
        colour = SHOWN[sample.name]
        mean, half = zip(*(sample.mean(key) for key in keys), strict=True)
        axes.bar(np.arange(len(keys)) + 0.2 * number - 0.3, mean, 0.2, yerr=half, color=colour, label=sample.name)
    axes.set_xticks(range(len(keys)), keys, fontsize=7)
    axes.set_title("renderer: shares", fontsize=8)
    axes.legend(fontsize=6)


def hardest(axes: Axes, path: Path, source: LatentSource, title: str) -> None:
    """Show the sixteen faces of highest priority in a pool."""
    index, latent, _ = remembered(path, source)
    face = source.draw(index[:16], latent[:16]).face.add(1).div(2).clamp(0, 1)
    axes.imshow(face.view(2, 8, 3, 64, 64).permute(0, 3, 1, 4, 2).reshape(128, 512, 3).numpy())
    axes.set_axis_off()
    axes.set_title(title, fontsize=8)


def compared(paths: list[Path], source: LatentSource, title: str) -> list[Sample]:
    """Return the samples of a run, and the pool of the run with reliability; prints their table."""
    read = parameters_of(source)
    found = samples(paths[0], source, read)
    reliable = next(sample for sample in samples(paths[1], source, read) if sample.name == "pool")
    found.append(Sample("pool with reliability", reliable.values, reliable.weight))
    is_read = isinstance(source, StyleGAN2Source)
    table(title, found, list(NUMBERS if is_read else found[0].values))
    return found


def main() -> None:
    """Train, print the tables and draw the figure."""
    images, folder = int(sys.argv[1]), Path(sys.argv[2])
    extra = dict(argument.split("=", 1) for argument in sys.argv[3:])
    figure = Figure(figsize=(11, 10), dpi=100, layout="constrained")
    grid = figure.add_gridspec(5, 4)
    for row, (kind, title) in enumerate((("simface", "renderer"), ("stylegan2", "generator, as read"))):
        source = sources.build(SourceConfig(kind=kind), Philox(0))
        if not isinstance(source, LatentSource):
            raise AssertionError(f"{kind} has latents")
        paths = [trained(kind, share, images, folder, extra) for share in SHARES]
        found = compared(paths, source, title)
        for column, key in enumerate(NUMBERS):
            curves(figure.add_subplot(grid[2 * row, column]), found, key, title)
        if kind == "simface":
            for column, key in enumerate(SIZES):
                curves(figure.add_subplot(grid[1, column]), found, key, title)
            rest = [key for key in found[0].values if key not in (*NUMBERS, *SIZES)]
            bars(figure.add_subplot(grid[1, 2:]), found, rest)
        for column, (path, words) in enumerate(zip(paths, ("", ", with reliability"), strict=True)):
            where = figure.add_subplot(grid[3 + row, 2 * column : 2 * column + 2])
            hardest(where, path, source, f"{title.split(',')[0]}: hardest of the pool{words}")
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
