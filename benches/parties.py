"""Parties to a comparison, each a process: started together, at work one at a time.

No variable that caps the threads of a BLAS, of OpenMP or of rayon reaches them, so that each has all the processors; or
all are given the same number.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVE = Path(__file__).parent / "peers" / "serve.py"
_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "RAYON")]
_PAUSE = 0.25  # seconds: the threads of some libraries wait for more work that long, and do so in a loop


@dataclass(frozen=True)
class Recipe:
    """How to start a party.

    Args:
        module: importable beside this file.
        function: of it, see peers/serve.py.
        arguments: JSON values by name.
        python: interpreter, None for this one.
        times: by which its seconds are multiplied, for a peer that is given a part of the work.
    """

    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    python: Path | None = None
    times: int = 1


class Party:
    """A process that waits for its turns."""

    def __init__(self, recipe: Recipe, threads: int | None) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _THREADS}
        if threads is not None:
            environment |= dict.fromkeys(_THREADS, str(threads))
        python = str(recipe.python or sys.executable)
        command = [python, str(SERVE), recipe.module, recipe.function, json.dumps(recipe.arguments)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._recipe = recipe
        self.seconds: list[float] = []
        self.bytes = 0
        self.answer: Any = None

    def missing(self) -> str | None:
        """Wait until it is ready; return why it cannot take part, None if it can."""
        reason: str | None = self._hear().get("missing")
        return reason

    def turn(self) -> None:
        """Let it do its work once."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        heard = self._hear()
        self.seconds.append(heard["seconds"] * self._recipe.times)
        self.bytes = max(self.bytes, heard["bytes"])
        self.answer = heard["answer"]

    def rest(self) -> None:
        """Wait until its threads sleep."""
        time.sleep(_PAUSE)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._recipe.module}.{self._recipe.function}: ended with {self._process.wait(60)}")
        heard: dict[str, Any] = json.loads(line)
        return heard


@contextmanager
def gathered(recipes: dict[str, Recipe], threads: int | None) -> Iterator[tuple[dict[str, Party], dict[str, str]]]:
    """Start all, and give those that are ready, by name, and why the others are not."""
    parties: dict[str, Party] = {}
    absent: dict[str, str] = {}
    try:
        for name, recipe in recipes.items():
            parties[name] = Party(recipe, threads)
        for name, party in parties.items():
            reason = party.missing()
            if reason is not None:
                absent[name] = reason
        yield {name: party for name, party in parties.items() if name not in absent}, absent
    finally:
        for party in parties.values():
            party.close()
