"""One party to a comparison, in a process of its own: makes its input, then does its work each time it is told to.

    python serve.py MODULE FUNCTION ARGUMENTS

FUNCTION of MODULE takes ARGUMENTS (JSON) and returns the work, a call, and a function that makes JSON of its result.
Each line of standard input is answered by one JSON line: seconds, memory beyond the input at its peak, and the answer.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any


def memory(kind: str) -> int:
    """Bytes of memory held now, ``VmRSS``, or at most so far, ``VmHWM``; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(rf"{kind}:\s+(\d+)", status.read_text()) if status.exists() else None
    return 1024 * int(found[1]) if found else 0


def forget_peak() -> None:
    """Let VmHWM start from what is held now."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Serve until standard input ends."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def say(what: dict[str, Any]) -> None:
        channel.write(json.dumps(what) + "\n")

    module, function, arguments = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        call, describe = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    except (ImportError, AttributeError) as error:
        say({"missing": f"{type(error).__name__}: {error}"})
        return
    say({})
    for _ in sys.stdin:
        forget_peak()
        before = memory("VmRSS")
        start = time.perf_counter()
        result = call()
        seconds = time.perf_counter() - start
        say({"seconds": seconds, "bytes": max(0, memory("VmHWM") - before), "answer": describe(result)})
        del result


if __name__ == "__main__":
    main()
