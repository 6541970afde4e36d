"""``sdx eval-scores``: rates of scores that another tool made."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from sdx.cli.console import console
from sdx.evaluation import score_file
from sdx.evaluation.score_file import Judgement
from sdx.evaluation.support import LEAST, MARKS, SUPPORT


@click.command(name="eval-scores")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--score", metavar="NAME", help="Array of scores; found by itself where it has a common name.")
@click.option("--label", metavar="NAME", help="Array of labels, 1 for pairs of one person; likewise.")
@click.option("--distance", is_flag=True, help="Lower is more alike.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def eval_scores(file: Path, score: str | None, label: str | None, distance: bool, as_json: bool) -> None:
    """Judge the scores in FILE, an .npz with one score and one label a pair, in the order of the pair list.

    Each false match rate is answered twice: exactly, with an attained rate of at most the asked one, and as the field's
    scripts read it, from the nearest point of the curve.
    """
    judgement = score_file.judge(*score_file.load(file, score, label), is_distance=distance)
    if as_json:
        click.echo(json.dumps(judgement.to_json(), indent=2, allow_nan=False))
        return
    out = console()
    out.print(rates_table(judgement, file.name))
    out.print(
        f"EER {100 * judgement.eer:.3f} % at {judgement.eer_threshold:.6g}   AUC {100 * judgement.auc:.4f} %",
        markup=False,
    )
    if judgement.accuracy is not None:
        out.print(
            f"ten-fold accuracy in file order: exact {100 * judgement.accuracy['exact']:.3f} %, field's grid "
            f"{100 * judgement.accuracy['insightface']:.3f} %"
        )


def rates_table(judgement: Judgement, name: str) -> Table:
    """Return one row an asked FMR."""
    table = Table(
        title=f"{name}: {judgement.mated:,} mated, {judgement.nonmated:,} non-mated pairs",
        caption=f"TAR = 1 - FNMR in %, 95 % interval of independent pairs (pair-level); ~ fewer than "
        f"{SUPPORT} false matches can occur, not supported: fewer than {LEAST}",
    )
    for heading in (
        "FMR",
        "TAR",
        "interval",
        "threshold",
        "false matches",
        "attained FMR",
        "field's TAR",
        "field's FMR",
    ):
        table.add_column(heading, justify="right")
    for fmr, (exact, field) in judgement.rates.items():
        low, high = exact.fnmr_interval
        table.add_row(
            fmr,
            f"{MARKS[exact.support]}{100 * (1 - exact.fnmr):.3f}",
            f"{100 * (1 - high):.3f} to {100 * (1 - low):.3f}",
            f"{exact.threshold:.6g}",
            f"{exact.false_matches:,}",
            f"{exact.attained:.3g}",
            f"{100 * (1 - field.fnmr):.3f}",
            f"{field.attained:.3g}",
        )
    return table
