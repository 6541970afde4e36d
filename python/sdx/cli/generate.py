"""``sdx generate``: faces of a source as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from sdx import sources
from sdx.cli import output
from sdx.cli.train import say_skipped
from sdx.config import SOURCES, SourceConfig, source_values, validate
from sdx.errors import ConfigError
from sdx.files import write_atomically
from sdx.random import Philox
from sdx.report import grid

_COLUMNS = 8


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="PNG to write.")
@click.option("--source", default="stylegan2", show_default=True, help="As source= of sdx train.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1))
@click.option("--count", default=32, show_default=True, type=click.IntRange(1, 4096), help="Faces, or rows of a strip.")
@click.option("--psi", default=1.0, show_default=True, type=float, help="Truncation of w, 1 = none.")
@click.option("--interpolate", is_flag=True, help="Rows of eight faces, from one latent straight to another.")
@click.option("--scale", default=1, show_default=True, type=click.IntRange(1, 16), help="Side of a pixel.")
def generate(out: Path, source: str, seed: int, count: int, psi: float, interpolate: bool, scale: int) -> None:
    """Draw faces of a source into one PNG; the same seed gives the same faces."""
    output.check(out)
    if not source:
        raise ConfigError("--source: expected a source as in source= of sdx train, got nothing")
    config = validate({**source_values(source), "psi": psi}, SourceConfig)
    if psi != 1.0 and config.kind in SOURCES and config.kind != "stylegan2":
        raise ConfigError(f"--psi: expected --source stylegan2, whose w it truncates, got {config.kind}; leave it out")
    built = sources.build(config, Philox(seed))
    face = sources.strips(built, count, _COLUMNS) if interpolate else sources.samples(built, count)
    picture = grid.png(face, columns=_COLUMNS, scale=scale)
    with output.writing(out):
        write_atomically(out, picture)
    say_skipped(built.skipped)
    click.echo(f"{len(face)} faces of {built.name} in {out}")
