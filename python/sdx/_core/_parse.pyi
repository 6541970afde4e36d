"""Readers of untrusted files."""

from os import PathLike
from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class VerificationBin:
    """A verification set: encoded images and which pairs are of one person."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """Bytes of all items, one after the other, uint8 [bytes]."""
    @property
    def offsets(self) -> NDArray[np.int64]:
        """Item i lies in data[offsets[i]:offsets[i + 1]], int64 [2 P + 1]."""
    @property
    def mated(self) -> NDArray[np.bool_]:
        """Whether pair i, of items 2 i and 2 i + 1, is mated, bool [P]."""
    @property
    def first(self) -> NDArray[np.int64]:
        """Index of the first item with the same bytes, int64 [2 P]."""

def read_verification_bin(path: str | PathLike[str], max_bytes: int = 2147483648) -> VerificationBin:
    """Read a verification set in the field's .bin layout, as data: nothing in the file can run.

    `max_bytes` caps the file, and the images together. Raises DataError, naming opcode and byte, for anything else than
    lists of encoded images (byte strings or numpy uint8 arrays) and booleans.
    """
