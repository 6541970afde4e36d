"""Train small face-recognition networks from a face generator and a frozen teacher."""

from sdx.errors import ArtefactError, CheckpointError, ConfigError, DataError, SdxError
from sdx.types import Batch, InputSpec, Proposal

__all__ = [
    "ArtefactError",
    "Batch",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "InputSpec",
    "Proposal",
    "SdxError",
]
