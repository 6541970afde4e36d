"""`make help` is complete, and the documents name only targets that exist."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", MAKEFILE, re.MULTILINE))


def _make(*arguments: str) -> str:
    # Under `make test` the outer make hands its flags down.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def test_every_target_is_phony() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == TARGETS
    assert {"demo", "test", "lint"} <= TARGETS


def test_help_lists_every_target_with_a_description() -> None:
    listed = dict(re.findall(r"^  make ([a-z0-9-]+) +(\S.*)$", _make("help"), re.MULTILINE))
    assert set(listed) == TARGETS
    assert all(len(description) > 10 for description in listed.values())


def test_help_is_what_plain_make_does() -> None:
    assert _make() == _make("help")


@pytest.mark.parametrize("document", ["README.md", ".ci/run"])
def test_documents_name_targets_that_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    commands = re.findall(r"(?:^ *|`)make ((?:[a-z][a-z-]* ?)+)", text, re.MULTILINE)
    named = {target for command in commands for target in command.split()}
    assert named
    assert named <= TARGETS
