"""``sdx cache``: faces with their teacher's embeddings, for training without generator and teacher."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sdx.cli.train import RESUMABLE, configure, say_skipped
from sdx.training.cache import Writer
from sdx.training.interruption import Interrupted


@click.command()
@click.argument("arguments", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--shard", type=click.IntRange(1), help="Faces in a file.  [default: what fills 64 MiB]")
def cache(arguments: Sequence[str], out: Path, shard: int | None) -> None:
    """Draw faces, embed them with the teacher, and keep both for source=cache source.path=FOLDER of sdx train.

    RECIPE and KEY=VALUE are those of sdx train; source, teacher, images, batch, seed, precision and device count. The
    same command with the same --out goes on after the last full file.
    """
    writer = Writer(configure(arguments), out, shard)
    try:
        found = writer.write()
    except Interrupted:
        click.echo("stopped; the same command goes on from here", err=True)
        sys.exit(RESUMABLE)
    say_skipped(writer.source.skipped)
    click.echo(
        f"{found.faces:,} faces of {found.source.name}, embedded by {found.teacher.name} ({found.embedding} numbers "
        f"each) in {out}"
    )
