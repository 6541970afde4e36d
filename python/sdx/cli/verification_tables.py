"""Tables of ``sdx eval``: figures with intervals, errors at a fixed threshold, differences between models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from sdx.evaluation.comparison import Comparison, Difference
from sdx.evaluation.intervals import Interval, Intervals
from sdx.evaluation.operating import Operation
from sdx.evaluation.support import LEAST, MARKS, SUPPORT
from sdx.evaluation.verification import FARS, Result

_PAIR_LEVEL = "p: pair-level, pairs taken as independent, too narrow where they share people"


@dataclass(frozen=True)
class Report:
    """What is told of one model on one set.

    Args:
        result: figures.
        intervals: of these.
        operation: errors at a threshold fixed beforehand, None where there is none.
    """

    result: Result
    intervals: Intervals
    operation: Operation | None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the figures, ``support`` of the TARs, ``intervals`` and ``operating``."""
        return self.result.to_json() | {
            "support": self.result.support(),
            "intervals": self.intervals.to_json(),
            "operating": None if self.operation is None else self.operation.to_json(),
        }


def figures(reports: Sequence[Report]) -> Table:
    """Return one row a result, each rate in percent above its interval."""
    first = reports[0].result
    table = Table(
        title=f"Verification: protocol {first.protocol}, flip {first.options['flip']}",
        caption="rates in %, below them the 95 % interval over subjects drawn anew "
        f"({_PAIR_LEVEL}); ± population standard deviation of ten folds; threshold on squared distance of unit "
        "embeddings, below it as cosine; TAR at a FAR of at most the value, ~ where fewer than "
        f"{SUPPORT} false accepts can occur, not supported: fewer than {LEAST}",
    )
    table.add_column("model", overflow="fold")
    table.add_column("set", overflow="fold")
    for heading in ("mated\nnon-mated", "accuracy", "threshold", *(f"TAR@{far}" for far in FARS), "EER", "AUC"):
        table.add_column(heading, justify="right")
    for one in reports:
        result, found, support = one.result, one.intervals, one.result.support()
        table.add_row(
            escape(result.model),
            escape(result.dataset),
            f"{result.mated:,}\n{result.nonmated:,}",
            f"{100 * result.accuracy:.2f} ± {100 * result.std:.2f}\n{_interval(found.accuracy)}",
            f"{result.threshold:.3f}\n{1 - result.threshold / 2:.3f}",
            *(
                f"{MARKS[support[far]]}{100 * tar:.2f}\n{_interval(found.tar_at_far[far])}"
                for far, tar in result.tar_at_far.items()
            ),
            f"{100 * result.eer:.2f}\n{'' if found.eer is None else _interval(found.eer)}",
            f"{100 * result.auc:.2f}",
        )
    return table


def operations(reports: Sequence[Report]) -> Table:
    """Return one row a model and set that is judged at a threshold fixed beforehand."""
    table = Table(
        title="At the threshold fixed beforehand",
        caption=f"rates in % with 95 % intervals ({_PAIR_LEVEL}); accepted from the cosine on; ~ fewer than {SUPPORT} "
        f"errors made, not supported: fewer than {LEAST}",
    )
    table.add_column("model", overflow="fold")
    table.add_column("set", overflow="fold")
    for heading in ("cosine", "squared distance", "chosen", "FMR", "false matches", "FNMR", "false non-matches"):
        table.add_column(heading, justify="right")
    for one in reports:
        if (at := one.operation) is None:
            continue
        table.add_row(
            escape(one.result.model),
            escape(one.result.dataset),
            f"{at.cosine:.4f}",
            f"{at.distance:.4f}",
            "as given" if at.chosen_on is None else escape(f"on {at.chosen_on}\nfor FMR {at.asked_fmr:g}"),
            f"{MARKS[at.fmr_support]}{100 * at.fmr:.3f}\n{_interval(at.fmr_interval, 3)}",
            f"{at.false_matches:,}",
            f"{MARKS[at.fnmr_support]}{100 * at.fnmr:.3f}\n{_interval(at.fnmr_interval, 3)}",
            f"{at.false_non_matches:,}",
        )
    return table


def comparisons(compared: Sequence[Comparison]) -> Table:
    """Return one row a figure of two models on one set."""
    table = Table(
        title="Second model less first",
        caption="points of %, 95 % interval over the same subjects drawn anew for both, differs where it leaves out 0; "
        "McNemar: exact p of the pairs that one model alone decides rightly (pair-level)",
    )
    table.add_column("models", overflow="fold")
    table.add_column("set", overflow="fold")
    for heading in ("figure", "first", "second", "difference", "interval"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for one in compared:
        names = escape(f"{one.second} less {one.first}")
        for difference in one.differences:
            table.add_row(names, escape(one.dataset), *_difference(difference))
            names = ""
        split = f"{one.first_alone:,} to {one.second_alone:,}"
        table.add_row("", escape(one.dataset), "McNemar", split, "", "", "", _p(one.mcnemar), end_section=True)
    return table


def _difference(one: Difference) -> tuple[str, ...]:
    interval = "subjects not known"
    verdict = ""
    if one.interval is not None:
        interval = f"{100 * one.interval[0]:+.2f} to {100 * one.interval[1]:+.2f}"
        verdict = "differs" if one.differs else "no difference shown"
    shares = (f"{100 * one.first:.2f}", f"{100 * one.second:.2f}", f"{100 * one.difference:+.2f}")
    return (one.figure, *shares, interval, verdict)


def _p(value: float) -> str:
    return f"p = {value:.3g}" if value >= 1e-99 else "p < 1e-99"


def _interval(interval: Interval, digits: int = 2) -> str:
    mark = " p" if interval.kind == "pairs" else ""
    return f"{100 * interval.low:.{digits}f}–{100 * interval.high:.{digits}f}{mark}"
