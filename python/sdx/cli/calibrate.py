"""``sdx calibrate``: the threshold that keeps to a false match rate, written into the model file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from sdx import networks, sources
from sdx.cli import output
from sdx.config import SourceConfig, source_values, validate
from sdx.errors import ConfigError
from sdx.evaluation import calibration, datasets, models
from sdx.evaluation.calibration import Calibration, Faces
from sdx.evaluation.support import MARKS
from sdx.random import Philox
from sdx.teachers import Embedder
from sdx.weights import registry

_FACES = 10_000
"""Faces drawn unless asked otherwise: 50 million pairs, enough for FMR 1e-6."""


@click.command()
@click.argument("model")
@click.option("--fmr", type=click.FloatRange(0, 1, min_open=True), required=True, help="False match rate, at most.")
@click.option("--data", metavar="SET", help="Set or .bin file whose images are compared, every one with every other.")
@click.option(
    "--subjects",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="IDS.npy",
    help="Who is in each image of a .bin file, in file order.",
)
@click.option(
    "--source",
    help="Draw faces instead; as source= of sdx train. A label is a person: of a folder or zip each sub-folder with "
    "images, so these must be people. Without labels each face is another person.",
)
@click.option("--faces", type=click.IntRange(2, 2**24), help=f"How many to draw.  [default: {_FACES:,}]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Of the faces drawn.  [default: 0]")
@click.option("--flip", is_flag=True, help="Add the embedding of the mirror image.")
@click.option("--own", multiple=True, metavar="MODULE:NAME", help="Network of your own that MODEL may be made of.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write another file and keep MODEL's.")
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def calibrate(
    model: str,
    fmr: float,
    data: str | None,
    subjects: Path | None,
    source: str | None,
    faces: int | None,
    seed: int | None,
    flip: bool,
    own: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Choose the threshold of MODEL over all pairs of some faces, and write it into its file.

    MODEL is as for sdx eval: a file, a run folder (each of its students), a built-in name (with --out), or FAMILY:PATH
    (with --dry-run, for it has no file of ours). Faces are those of a set that says who is in each, or drawn by a
    source; of a generator or the renderer, no photograph of a person takes part.
    """
    for architecture in own:
        networks.own.allow(architecture)
    if (data is None) == (source is None):
        raise ConfigError("expected --data SET or --source SOURCE, one of them: where faces come from")
    for name, value in (("--faces", faces), ("--seed", seed)):
        if source is None and value is not None:
            raise ConfigError(f"expected {name} with --source, got it with --data, whose images are all taken")
    if data is None and subjects is not None:
        raise ConfigError("expected --subjects with --data FILE.bin, got it with --source, whose people are its own")
    places = _places(model, out, dry_run)
    done = []
    for place, loaded in zip(places, models.load(model), strict=True):
        drawn = _faces(loaded, data, subjects, source, faces or _FACES, seed or 0, flip)
        if drawn.remark is not None:
            click.echo(f"remark: {drawn.remark}", err=True)
        found = calibration.calibrate(drawn, fmr)
        done.append((loaded.name, drawn.people, found, place))
        if place is not None:
            calibration.write(*place, found.operating)
    if as_json:
        listed = [{"model": name, **_json(found), "people": people} for name, people, found, _ in done]
        click.echo(json.dumps({"results": listed}, indent=2, allow_nan=False))
        return
    for name, _, found, place in done:
        click.echo(_told(name, found))
        click.echo(f"written to {place[1]}" if place else "not written")


def _places(model: str, out: Path | None, dry_run: bool) -> list[tuple[Path, Path] | None]:
    """Return for each model its file and the one to write, None where none is to be written."""
    files = registry.files(model)
    if dry_run:
        return [None] * max(len(files), 1)
    if not files:
        raise ConfigError(f"{model}: expected a model file of sdx to write to, got none; give --dry-run")
    if out is None and files[0] in registry.builtin().values():
        raise ConfigError(f"{model}: expected --out FILE, for a built-in model stays as it is")
    if out is not None and len(files) > 1:
        raise ConfigError(
            f"{model}: expected one model for --out, got {len(files)}: name one of {', '.join(map(str, files))}"
        )
    for place in [out] if out else files:
        output.check(place)
    return [(file, out or file) for file in files]


def _faces(
    model: Embedder, data: str | None, subjects: Path | None, source: str | None, count: int, seed: int, flip: bool
) -> Faces:
    if data is not None:
        return calibration.of_set(model, datasets.load(data, subjects), flip=flip)
    assert source is not None
    built = sources.build(validate(source_values(source), SourceConfig), Philox(seed))
    return calibration.of_source(model, built, count, seed=seed, flip=flip)


def _json(found: Calibration) -> dict[str, object]:
    return {**found.operating.model_dump(), "support": found.support, "mated": found.mated, "fnmr": found.fnmr} | {
        "fnmr_interval": None if found.fnmr_interval is None else asdict(found.fnmr_interval)
    }


def _told(name: str, found: Calibration) -> str:
    at = found.operating
    mated = ""
    if found.fnmr is not None and (span := found.fnmr_interval) is not None:
        low, high = 100 * span.low, 100 * span.high
        mated = f"; FNMR {100 * found.fnmr:.3f} % ({low:.3f} to {high:.3f}) of {found.mated:,} mated pairs"
    low, high = at.interval
    kind = "other people drawn" if at.interval_kind == "subjects" else "pair-level"
    return (
        f"{name}: accept from cosine {at.threshold:.6f}; FMR {MARKS[found.support]}{at.attained_fmr:.3g} "
        f"({at.false_matches:,} of {at.pairs:,} non-mated pairs, 95 % {low:.3g} to {high:.3g}, {kind}){mated}; "
        f"chosen on {at.data}"
    )
