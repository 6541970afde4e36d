"""Which licence of a chain binds its last link; anything not known for certain is never called free."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = "unknown"
NON_COMMERCIAL = "non-commercial"

FREE = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT", "Unlicense", "public-domain"}
)
"""SPDX names that allow commercial use and ask for no more than a notice."""

SHARE_ALIKE = frozenset({"AGPL-3.0", "CC-BY-SA-4.0", "GPL-2.0", "GPL-3.0", "LGPL-3.0", "MPL-2.0"})
"""SPDX names that allow commercial use but ask for the same licence of what is derived."""

_RESTRICTED = ("non-commercial", "noncommercial", "-nc", "research")


def allows_commercial_use(licence: str) -> bool:
    """Return whether ``licence`` is one known to allow commercial use."""
    return _rank(licence) <= 1


def strictest(licences: Iterable[str]) -> str:
    """Return the licence that binds a work made from all of them; `UNKNOWN` for an empty chain.

    Free ones yield to share-alike ones, these to anything unknown, and that to what forbids commercial use.
    """
    return max(licences, key=_rank, default=UNKNOWN)


def _rank(licence: str) -> int:
    if licence in FREE:
        return 0
    if licence in SHARE_ALIKE:
        return 1
    return 3 if any(word in licence.lower() for word in _RESTRICTED) else 2
