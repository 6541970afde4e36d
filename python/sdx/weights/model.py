"""A network ready to embed faces, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from sdx.types import InputSpec
from sdx.weights import artefact
from sdx.weights.licence import allows_commercial_use
from sdx.weights.metadata import OperatingThreshold, Origin


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to embed faces, and what is known of it.

    Args:
        name: what reports call it.
        network: in evaluation mode, frozen, [B, 3, size, size] -> [B, embedding].
        spec: the network's input.
        licence: the strictest of its chain.
        provenance: where it came from, the nearest first.
        sha256: of the file, hex; empty for a user's own network.
        embedding: size of the embedding.
        threshold: where it is to be operated, None where none was chosen.
    """

    name: str
    network: nn.Module
    spec: InputSpec
    licence: str
    provenance: tuple[Origin, ...]
    sha256: str
    embedding: int
    threshold: OperatingThreshold | None = None

    @property
    def commercial_use(self) -> bool:
        """Whether every licence of the chain is known to allow commercial use."""
        return allows_commercial_use(self.licence)

    @classmethod
    def of(cls, loaded: artefact.Artefact) -> LoadedModel:
        """Return the model that an artefact holds."""
        meta = loaded.meta
        licence = meta.strictest_licence
        return cls(
            name=meta.name,
            network=loaded.network,
            spec=loaded.spec,
            licence=licence,
            provenance=meta.provenance,
            sha256=loaded.sha256,
            embedding=meta.embedding,
            threshold=meta.threshold,
        )
