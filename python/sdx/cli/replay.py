"""``sdx replay``: an image of a run and what it was derived from, drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sdx.cli import output
from sdx.files import write_atomically
from sdx.report import strip
from sdx.training.replay import Portrait, Replay


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--image",
    "images",
    type=click.IntRange(0, 2**63 - 1),
    required=True,
    multiple=True,
    help="Number; may be repeated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="PNG to write; RUN/replay.png unless given."
)
@click.option("--own", metavar="MODULE:NAME", help="The run's source, where it is your own.")
def replay(folder: Path, images: Sequence[int], out: Path | None, own: str | None) -> None:
    """Draw images of the run folder RUN again, each behind its ancestors, as the teacher saw them in training.

    Below each face: its number, the size of the step that led to it, and the cosine of student and teacher on it before
    it was learnt from.
    """
    found = Replay(folder, own)
    path = out or folder / "replay.png"
    output.check(path)
    rows = [found.ancestry(index) for index in images]
    picture = strip.png([[(face.face, _caption(face)) for face in row] for row in rows])
    with output.writing(path):
        write_atomically(path, picture)
    for row in rows:
        click.echo(" -> ".join(", ".join(_caption(face)) for face in row))
    if not found.has_latents:
        click.echo("the run's source has no latents, so no image has ancestors")
    if found.remark is not None:
        click.echo(f"remark: {found.remark}", err=True)
    click.echo(f"{sum(map(len, rows))} faces in {path}")


def _caption(face: Portrait) -> list[str]:
    step = [f"step {face.scale:.3g}"] if face.scale else []
    return [f"image {face.index}", *step, f"cosine {face.cosine:.3f}"]
