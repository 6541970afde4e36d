"""``sdx train``: from a face source and a frozen teacher to verified students."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sdx import config as configuration
from sdx import devices, recipes
from sdx.errors import ConfigError
from sdx.report import curve, grid
from sdx.training import checkpoint, forecast, run, tracking
from sdx.training.interruption import Interrupted
from sdx.training.results import Row

RESUMABLE = 75
"""Exit code of a run that was asked to stop and saved its state (sysexits' EX_TEMPFAIL)."""


def _recipes_help() -> str:
    return "\n\n".join(f"  {name}: {text}" for name, text in recipes.descriptions().items())


@click.command(epilog="Recipes:\n\n" + _recipes_help())
@click.argument("arguments", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...")
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), help="Run folder; resumes what it holds.")
@click.option(
    "--dry-run", is_flag=True, help="Print configuration, networks, speed, time, memory and disk; write nothing."
)
def train(arguments: Sequence[str], run_dir: Path | None, dry_run: bool) -> None:
    """Train students by RECIPE (default: demo) and verify them.

    KEY=VALUE changes the recipe: source, teacher, students, sampler, loss, eval, images, batch, seed, checkpoint_every,
    eval_every (counts in images, none = off), or any dotted key that --dry-run shows. The same command with the same
    --run-dir resumes.
    """
    config = configure(arguments)
    if dry_run:
        _print_forecast(config)
        return
    folder = run_dir or next_folder(config.recipe)
    click.echo(f"run folder {folder}")
    try:
        summary = run.train(config, folder)
    except Interrupted:
        click.echo(f"stopped; the same command with --run-dir {folder} goes on from here", err=True)
        sys.exit(RESUMABLE)
    with checkpoint.writing(path := folder / "curve.png"):
        curve.write(tracking.read(folder / "metrics.jsonl"), path)
    with checkpoint.writing(path := folder / "samples.png"):
        grid.write(summary.samples, path)
    click.echo(f"{summary.images_seen} images in {summary.seconds:.0f} s; students and pictures in {folder}")
    say_skipped(summary.skipped)
    if summary.outcome.rows:
        Console(width=None if sys.stdout.isatty() else 120).print(_table(summary.outcome.rows))
    for name, share in summary.outcome.gap_closed.items():
        click.echo(f"{name} closes {100 * share:.1f} % of the gap in mean accuracy from random weights to the teacher")
    for remark in summary.outcome.remarks:
        click.echo(f"remark: {remark}")


def configure(arguments: Sequence[str]) -> configuration.RunConfig:
    """Return the configuration that a recipe's name and assignments mean; raises ConfigError for unknown ones."""
    name, assignments = split(arguments)
    return configuration.override(recipes.get(name or "demo"), assignments)


def split(arguments: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return the recipe's name, if given, and the assignments; raises ConfigError for two names."""
    names = [argument for argument in arguments if "=" not in argument]
    if len(names) > 1:
        raise ConfigError(f"expected one recipe and key=value pairs, got {' and '.join(names)}")
    assignments = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    return (names[0] if names else None), assignments


def say_skipped(skipped: Sequence[str]) -> None:
    """Name the first of the images that could not be read, if there were any."""
    if skipped:
        names = ", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        click.echo(f"{len(skipped)} unreadable images were skipped: {names}", err=True)


def next_folder(recipe: str) -> Path:
    """Return the first folder of that recipe under ``runs`` that is not there."""
    number = 1
    while (folder := Path("runs") / f"{recipe}-{number}").exists():
        number += 1
    return folder


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Accuracy in %, ten folds")
    table.add_column("model", overflow="fold")
    for name in [*rows[0].accuracy, "mean"]:
        table.add_column(Path(name).name, justify="right")
    for row in rows:
        table.add_row(escape(row.model), *(f"{100 * value:.2f}" for value in [*row.accuracy.values(), row.mean]))
    return table


def _print_forecast(config: configuration.RunConfig) -> None:
    click.echo(configuration.dump(config))
    parts = run.build(config)
    with devices.using(parts.device, exact=config.precision == "fp32"):
        found = forecast.measure(config, parts)
    for network in found.networks:
        click.echo(f"student {network.name}: {network.parameters:,} parameters, {network.macs / 1e6:.1f} MMACs a face")
    click.echo(
        f"{found.images_per_second:.0f} images/s, {found.seconds / 60:.1f} minutes for {config.images:,} images "
        f"(verification apart), {found.memory / 2**20:.0f} MiB of memory so far, {found.disk / 2**20:.0f} MiB of disk"
    )
