"""What a model file says about itself."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sdx.errors import ArtefactError
from sdx.weights import licence as licences

FORMAT = "sdx-model"
VERSION = 1


class Origin(BaseModel):
    """One link of the chain a model comes from: the generator that drew its faces, the teacher, the data.

    Args:
        role: what it was used as.
        name: what it is called.
        licence: SPDX name, `non-commercial`, or `unknown`.
        sha256: of its file, hex, where it has one.
        data: what it was itself trained on or made of, in words; says whether real faces were seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["generator", "teacher", "data", "initial weights", "network"]
    name: str
    licence: str = licences.UNKNOWN
    sha256: str = ""
    data: str = ""


class OperatingThreshold(BaseModel):
    """A threshold chosen on data that is kept apart from tests, and what it made there.

    Args:
        threshold: on the cosine of two embeddings; pairs from here on are accepted. Just above 1 accepts nobody.
        flip: whether embeddings were the sum of both mirror images' raw ones: scores without are not comparable.
        asked_fmr: false match rate it was chosen for, at most.
        attained_fmr: ``false_matches / pairs``.
        interval: lower and upper end of the 95 % interval of the FMR there.
        interval_kind: ``subjects`` (people resampled) or ``pairs`` (Wilson's, pairs taken as independent).
        false_matches: non-mated pairs accepted.
        pairs: non-mated pairs in all.
        data: name of what it was chosen on; of drawn faces also what was taken for a person.
        data_sha256: of that, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threshold: float = Field(ge=-1, le=1.01)
    flip: bool
    asked_fmr: float = Field(gt=0, le=1)
    attained_fmr: float = Field(ge=0, le=1)
    interval: tuple[float, float]
    interval_kind: Literal["subjects", "pairs"]
    false_matches: int = Field(ge=0)
    pairs: int = Field(gt=0)
    data: str
    data_sha256: str

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if abs(self.false_matches / self.pairs - self.attained_fmr) > 1e-12:
            raise ValueError(f"expected attained_fmr {self.false_matches} / {self.pairs}, got {self.attained_fmr}")
        if self.attained_fmr > self.asked_fmr:
            raise ValueError(f"expected an attained_fmr of at most {self.asked_fmr}, got {self.attained_fmr}")
        if not 0 <= self.interval[0] <= self.interval[1] <= 1:
            raise ValueError(f"expected an interval within [0, 1], got {self.interval}")
        return self


class ArtefactMeta(BaseModel):
    """Everything but the weights: enough to build the network, feed it, check it, and say where it comes from.

    `sdx.weights.artefact.save` fills in the last four.

    Args:
        name: what reports call the model.
        architecture: see `sdx.networks.build`.
        embedding: size of the embedding.
        licence: of the weights themselves, as their maker states it.
        provenance: the chain they come from, the nearest first.
        scores: figures measured on this very model, by verification set.
        training: how it was trained, in words.
        threshold: where it is to be operated, None where none was chosen.
        output: whether the network ends in a raw or a unit-length embedding.
        input: `sdx.types.InputSpec.to_dict`.
        storage: how weights are stored; networks compute in float32 either way.
        self_check: embedding of the test face (`sdx.weights.artefact.self_check_face`).
        created_with: versions of what wrote the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    architecture: str
    embedding: int = Field(gt=0)
    licence: str = licences.UNKNOWN
    provenance: tuple[Origin, ...] = ()
    scores: dict[str, Any] = Field(default_factory=dict)
    training: str = ""
    threshold: OperatingThreshold | None = None
    output: Literal["raw", "unit"] = "raw"
    input: dict[str, Any] = Field(default_factory=dict)
    storage: Literal["fp32", "fp16"] = "fp32"
    self_check: tuple[float, ...] = ()
    created_with: dict[str, str] = Field(default_factory=dict)

    @property
    def strictest_licence(self) -> str:
        """The licence that binds: the strictest of the weights' own and of everything they come from."""
        return licences.strictest([self.licence, *(origin.licence for origin in self.provenance)])

    @property
    def commercial_use(self) -> bool:
        """Whether every licence of the chain is known to allow commercial use."""
        return licences.allows_commercial_use(self.strictest_licence)


def parse(text: str, where: str) -> ArtefactMeta:
    """Return the metadata written as JSON in ``text``; ArtefactError names ``where`` and what is bad."""
    try:
        return ArtefactMeta.model_validate_json(text)
    except ValidationError as error:
        entries = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'metadata'}: {e['msg']}" for e in error.errors()[:3])
        raise ArtefactError(f"{where}: bad metadata ({entries}): get the file again") from error
