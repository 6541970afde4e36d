"""``sdx eval``: how well models verify faces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from sdx import networks
from sdx.cli import verification_tables as tables
from sdx.cli.console import console
from sdx.cli.verification_tables import Report
from sdx.errors import ConfigError
from sdx.evaluation import comparison, datasets, intervals, models, operating, verification
from sdx.evaluation.comparison import Comparison
from sdx.evaluation.intervals import Judged
from sdx.evaluation.verification import Protocol, Scores


@click.command(name="eval")
@click.argument("model", nargs=-1, required=True)
@click.option("--data", multiple=True, default=("sim",), show_default=True, metavar="SET", help="Set or .bin file.")
@click.option(
    "--subjects",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="IDS.npy",
    help="Who is in each image of a .bin file, in file order; once for each such file.",
)
@click.option("--protocol", type=click.Choice(["exact", "insightface"]), default="exact", show_default=True)
@click.option("--own", multiple=True, metavar="MODULE:NAME", help="Network of your own that a MODEL may be made of.")
@click.option("--flip", is_flag=True, help="Add the embedding of the mirror image.")
@click.option(
    "--threshold",
    type=click.FloatRange(-1, 1),
    metavar="COSINE",
    help="Report errors at this threshold, fixed on other data, instead of a model's own.",
)
@click.option("--compare", is_flag=True, help="Say how each further model differs from the first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def evaluate(
    model: tuple[str, ...],
    data: tuple[str, ...],
    subjects: tuple[Path, ...],
    protocol: str,
    own: tuple[str, ...],
    flip: bool,
    threshold: float | None,
    compare: bool,
    as_json: bool,
) -> None:
    """Verify faces with each MODEL: a model file, a run folder, a built-in name, or FAMILY:PATH.

    SET is a built-in name (sim-easy, sim-pose, sim-age, sim-hardpose, sim-hardage, sim-low; sim for all six; @dev
    behind a name for its development split) or the path of a .bin file; give --data several times for several sets.
    Where subjects are known, 95 % intervals come from drawing other people.
    """
    for architecture in own:
        networks.own.allow(architecture)
    loaded = [one for reference in model for one in models.load(reference)]
    if compare and len(loaded) < 2:
        raise ConfigError(f"expected two models or more to compare, got {len(loaded)}: name another")
    reports: list[Report] = []
    compared: list[Comparison] = []
    remarks = models.remarks(loaded)
    for reference, people in _with_subjects(datasets.expand(data), subjects):
        dataset = datasets.load(reference, people)
        scores = [verification.score(one, dataset, flip=flip) for one in loaded]
        judged = [_judge(one, cast(Protocol, protocol), threshold) for one in scores]
        # The images end here: what is kept of a set is small.
        reports += [Report(one.result, intervals.of(one), operating.operate(one)) for one in judged]
        compared += [comparison.compare(judged[0], one) for one in judged[1:] if compare]
        remarks += [line for line in operating.remarks(scores) if line not in remarks]
    if as_json:
        differences = {"comparisons": [one.to_json() for one in compared]} if compare else {}
        click.echo(json.dumps({"results": [one.to_json() for one in reports]} | differences, indent=2, allow_nan=False))
        return
    out = console()
    out.print(tables.figures(reports))
    if any(one.operation for one in reports):
        out.print(tables.operations(reports))
    if compared:
        out.print(tables.comparisons(compared))
    for remark in remarks:
        out.print(remark, style="yellow", markup=False)


def _with_subjects(references: Sequence[str], subjects: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """Return each set with its file of subjects: one for each .bin file, in their order, or none at all."""
    files = [reference for reference in references if datasets.is_file(reference)]
    if subjects and len(subjects) != len(files):
        raise ConfigError(f"expected --subjects once for each of {len(files)} .bin files, got {len(subjects)}")
    given = dict(zip(files, subjects, strict=False))
    return [(reference, given.get(reference)) for reference in references]


def _judge(scores: Scores, protocol: Protocol, threshold: float | None) -> Judged:
    return intervals.judge(scores, protocol, operating.threshold(scores, threshold))
