"""The run configuration: a strict, frozen tree; unknown keys and wrong types are refused with the nearest valid key.

All counts and intervals are in images; None switches an interval off.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sdx.errors import ConfigError
from sdx.types import HELD_OUT, Frame


class Section(BaseModel):
    """Base of every part of the configuration: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(Section):
    """Base of a whole configuration: what a run folder holds as config.toml.

    ``may_change`` names the keys that do not alter what has been learnt so far; every other difference refuses to
    resume.
    """

    may_change: ClassVar[frozenset[str]] = frozenset()

    def decisive(self) -> dict[str, Any]:
        """Return the values by which two configurations are told apart, as JSON."""
        return self.model_dump(mode="json")


C = TypeVar("C", bound=Settings)
S = TypeVar("S", bound=Section)


SOURCES = ("simface", "simface-labelled", "stylegan2", "folder", "cache")
"""Built-in kinds of sources."""


class SourceConfig(Section):
    """Where faces come from: a name of `SOURCES`, or a class as `module:Name`."""

    kind: str = "simface"
    path: str | None = Field(
        None, description="folder or zip of images (kind folder), folder of sdx cache (kind cache)"
    )
    frame: Frame = "aligned"
    size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="side of a face in pixels; None = 64 rendered, 128 from files, a generator's or a cache's own",
    )
    generator: str = Field("simface-64", description="generator file or built-in name (kind stylegan2), or random-256")
    psi: float = Field(1.0, ge=-2, le=2, description="truncation of w, 1 = none (kind stylegan2)")
    noise: Literal["random", "const", "none"] = Field("random", description="of the layers (kind stylegan2)")
    low_resolutions: int | None = Field(
        None, ge=0, description="highest resolutions in the run's low precision, None = all (kind stylegan2)"
    )
    split: Literal["G", "T"] = "G"
    nuisance: Literal["wild", "portrait"] = "wild"
    identities: int = Field(3000, ge=2, description="people of a labelled source")
    views: int = Field(22, ge=1, description="images of each person of a labelled source")
    corrupt: Literal["skip", "refuse"] = "skip"


class StudentConfig(Section):
    """One student: `architecture` is a name of `sdx.networks.ARCHITECTURES`, `timm:NAME`, or a class `module:Name`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    architecture: str
    embedding: int | None = Field(None, ge=2, description="embedding size; None = the teacher's")
    size: int | None = Field(None, ge=16, description="side of the input in pixels; None = the architecture's own")
    pretrained: bool = Field(True, description="start from ImageNet weights where timm has them at hand")

    @property
    def starts_pretrained(self) -> bool:
        """Whether ImageNet weights are asked for: of the architectures that are timm's alone."""
        return self.pretrained and self.architecture.startswith(("tinyfar", "timm:"))


class SamplerConfig(Section):
    """Which latents are drawn: `fresh`, `resample` (SynthDistill), `pool`, or a class as `module:Name`."""

    kind: str = "fresh"
    scale: float = Field(1.0, ge=0, description="lambda, size of the noise around a parent")
    unit: Literal["absolute", "rms"] = Field("rms", description="unit of scale: latent units, or rms(w - w_mean)")
    steer: str = Field("mean", description="whose similarity counts: mean, hardest, or a student's name")
    capacity: int = Field(65536, ge=1, le=2**28, description="faces that pool remembers")
    revisit: float = Field(0.5, ge=0, le=1, description="share of a batch that pool draws near hard faces")
    exploration: float = Field(0.1, ge=0, le=1, description="share of those that pool draws whatever their hardness")
    reliability: float = Field(
        0.0, ge=0, le=1, description="share of a batch, the hardest, whose mirror images pool shows to the teacher"
    )


class LossConfig(Section):
    """What a student minimises: `mse`, `cosine`, `mse+cosine`, `margin` (labels), or a class as `module:Name`."""

    kind: str = "mse"
    mse: float = Field(1.0, ge=0, description="weight of the mean squared error in mse+cosine")
    cosine: float = Field(1.0, ge=0, description="weight of 1 - cos in mse+cosine")
    scale: float = Field(32.0, gt=0, description="s of the margin head")
    margin: float = Field(0.35, ge=0, lt=1.5, description="angular margin of the head in radians")
    ramp: tuple[float, float] = Field((0.08, 0.38), description="share of the run over which the margin grows from 0")

    @field_validator("ramp")
    @classmethod
    def _grows(cls, ramp: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= ramp[0] <= ramp[1] <= 1:
            raise ValueError(f"expected two shares from 0 to 1, the smaller one first, got {ramp[0]:g},{ramp[1]:g}")
        return ramp


Decay = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Section):
    """Optimiser and learning-rate schedule, a pure function of images seen."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(1e-3, gt=0)
    head_lr: float = Field(1.0, gt=0, description="multiplier of lr for a margin head")
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    betas: tuple[Decay, Decay] = Field((0.9, 0.999), description="decay of Adam's two moments")
    clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    schedule: Literal["constant", "step", "cosine"] = "constant"
    warmup: int = Field(0, ge=0, description="images of linear warm-up")
    step_every: int | None = Field(None, ge=1, description="images between steps of schedule step")
    gamma: float = Field(0.5, gt=0, le=1, description="factor of one step")


class AugmentConfig(Section):
    """What is done to a face: the flip is seen by teacher and student alike, the rest by the student alone."""

    flip: bool = False
    degrade: float = Field(0.0, ge=0, le=1, description="share of student views seen at a quarter to full resolution")


class RunConfig(Settings):
    """Everything that decides a run's result. Recipes return one; a run folder stores it as config.toml."""

    may_change = frozenset(
        {
            "images",
            "eval",
            "baselines",
            "log_every",
            "validate_every",
            "eval_every",
            "checkpoint_every",
            "graphs",
            "overlap",
        }
    )

    recipe: str
    seed: int = Field(0, ge=0, lt=2**63)
    images: int = Field(ge=1, le=HELD_OUT, description="images to train on")
    batch: int = Field(64, ge=1)
    source: SourceConfig = SourceConfig()
    teacher: str | None = "simface-teacher"
    students: tuple[StudentConfig, ...] = Field(min_length=1)
    sampler: SamplerConfig = SamplerConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    ema: int | None = Field(None, ge=1, description="half-life of the averaged weights in images")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="format of convolutions; auto = what the processor has, fixed when the run starts"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto, cpu, cuda or cuda:N; auto = CUDA where there is one, fixed when the run starts",
    )
    graphs: bool = Field(True, description="on CUDA, replay a batch's work as recorded graphs; the same operations")
    overlap: bool = Field(
        False, description="on CUDA, draw the next batch beside the students' backward pass; the same results"
    )
    eval: tuple[str, ...] = Field(("sim",), description="verification sets of the final table")
    baselines: bool = Field(False, description="random-weight student and pixel PCA in the final table")
    held_out: int = Field(512, ge=0, description="images of the fixed validation draw")
    log_every: int = Field(1280, ge=1)
    validate_every: int | None = Field(None, ge=1)
    eval_every: int | None = Field(None, ge=1)
    checkpoint_every: int | None = Field(None, ge=1)

    def decisive(self) -> dict[str, Any]:
        """See `Settings.decisive`; a GPU stands for its like, and a folder without a device was made on a CPU."""
        device = "cuda" if self.device.startswith("cuda") else "cpu"
        return super().decisive() | {"device": device}

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        names = [student.name for student in self.students]
        if len(set(names)) != len(names):
            raise ValueError(f"students: expected distinct names, got {', '.join(names)}")
        if self.images < self.batch:
            raise ValueError(
                f"images: expected at least one batch of {self.batch}, got {self.images}; give another batch="
            )
        has_targets = self.teacher is not None or self.source.kind == "cache"
        if not has_targets and self.loss.kind != "margin" and ":" not in self.loss.kind:
            raise ValueError(f"teacher: loss {self.loss.kind} needs a teacher; give teacher=MODEL or loss=margin")
        if self.teacher is None and self.sampler.reliability > 0:
            raise ValueError("sampler.reliability: is the teacher's; give teacher=MODEL or sampler.reliability=0")
        if self.augment.flip and self.source.kind == "cache":
            raise ValueError("augment.flip: a cache has no embeddings of mirror images; give augment.flip=false")
        if self.sampler.steer not in ("mean", "hardest", *names):
            raise ValueError(
                f"sampler.steer: expected mean, hardest or one of {', '.join(names)}, got {self.sampler.steer}"
            )
        return self


def override(config: C, assignments: Mapping[str, str]) -> C:
    """Return `config` with command-line assignments applied, ``{"source.frame": "ffhq", "students": "small"}``.

    Whole sections take a shorthand (`source=FOLDER`, `students=small,tinyfar-c`, `sampler=fresh`, `loss=cosine`);
    dotted keys are applied after them, in any order. Raises ConfigError for unknown keys and wrong types.
    """
    values = config.model_dump(mode="json")
    for key, value in sorted(assignments.items(), key=lambda item: item[0].count(".")):
        if not value:
            raise ConfigError(f"{key}: expected a value after '=', got nothing")
        if key in _SHORTHAND and key in values:
            patch = _SHORTHAND[key](value)
            values[key] = {**values[key], **patch} if isinstance(patch, dict) else patch
        else:
            _assign(values, key, value)
    return validate(values, type(config))


def validate(values: Mapping[str, Any], kind: type[S]) -> S:
    """Return the configuration of a nested dict; raises ConfigError with one line for the first fault."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            raise _unknown_key(where, list(_keys(kind))) from None
        message = fault["msg"].removeprefix("Value error, ")
        got = "" if fault["type"] in ("value_error", "missing") else f", got {fault['input']!r}"
        raise ConfigError(f"{where}: {message}{got}" if where else message) from None


def dump(config: Settings) -> str:
    """Return the configuration as TOML; keys that are None are left out (None is every such key's 'off')."""
    return tomli_w.dumps(_without_none(config.model_dump(mode="json")))


def load(path: Path, kind: type[C]) -> C:
    """Read `dump`'s TOML; raises ConfigError, which names it, for unreadable files, unknown keys and wrong types."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: expected a TOML configuration, got {error}") from error
    # A key that is absent from the file was None when it was written, not the default of this version.
    try:
        return validate(_with_none(values, kind), kind)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}; use the sdx that wrote it") from None


def differences(old: C, new: C, where: str = "the run folder") -> list[str]:
    """Return one line for each key that differs from the old value, in ``where``, and may not change on resume."""
    a, b = dict(_flatten(old.decisive())), dict(_flatten(new.decisive()))
    keys = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return [
        f"{key}: {a.get(key)} in {where}, {b.get(key)} now" for key in keys if key.split(".")[0] not in new.may_change
    ]


def source_values(value: str) -> dict[str, Any]:
    """Return the keys of `SourceConfig` that a shorthand means: a kind, a path, or ``stylegan2:GENERATOR``.

    A built-in kind wins over a folder of its name, which is ``./NAME``.
    """
    path = Path(value)
    if value in SOURCES:
        return {"kind": value}
    if value.startswith("stylegan2:"):
        return {"kind": "stylegan2", "generator": value.removeprefix("stylegan2:")}
    if path.exists() or path.suffix.lower() == ".zip" or value.endswith("/"):
        return {"kind": "folder", "path": value}
    return {"kind": value}


def _students_shorthand(value: str) -> list[dict[str, Any]]:
    architectures = [name.strip() for name in value.split(",") if name.strip()]
    named = [(a.replace(":", "-").replace("/", "-"), a) for a in architectures]
    # With every key there, so that dotted keys can set them; `validate` checks the values.
    return [StudentConfig.model_construct(name=name, architecture=a).model_dump() for name, a in named]


def _kind(value: str) -> dict[str, Any]:
    return {"kind": value}


def _list(value: str) -> list[str]:
    return [] if value == "none" else [part.strip() for part in value.split(",") if part.strip()]


_SHORTHAND: dict[str, Any] = {
    "source": source_values,
    "students": _students_shorthand,
    "sampler": _kind,
    "loss": _kind,
    "eval": _list,
}


def _assign(values: dict[str, Any], key: str, value: str) -> None:
    """Set a dotted key in nested dicts; an entry of `students` is found by its name."""
    node: Any = values
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if isinstance(node, list):
            node = {item["name"]: item for item in node}
        if not isinstance(node, dict) or part not in node:
            known = [name for name, _ in _flatten(values)] + list(values)
            raise _unknown_key(".".join(parts[: depth + 1]), known)
        if depth < len(parts) - 1:
            node = node[part]
    old = node[parts[-1]]
    if isinstance(old, dict) or (isinstance(old, list) and old and isinstance(old[0], dict)):
        raise ConfigError(f"{key}: expected a key within this section, e.g. {key}.{_first_key(old)}=...")
    node[parts[-1]] = None if value == "none" else value.split(",") if isinstance(old, list) else value


def _first_key(section: Any) -> str:
    return str(next(iter(section))) if isinstance(section, dict) else f"{section[0]['name']}.architecture"


def _unknown_key(key: str, known: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    return ConfigError(f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "; see sdx train --dry-run"))


def _flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list) and values and isinstance(values[0], dict):
        for item in values:
            yield from _flatten(item, f"{prefix}.{item['name']}")
    else:
        yield prefix, values


def _without_none(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _without_none(value) for key, value in values.items() if value is not None}
    return [_without_none(item) for item in values] if isinstance(values, list) else values


def _with_none(values: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """Return ``values`` with None for every optional key that is absent, in all sections that are there."""
    filled = dict(values)
    for name, field in kind.model_fields.items():
        sections = _sections(field.annotation)
        if sections and isinstance(values.get(name), dict):
            filled[name] = _with_none(values[name], sections[0])
        elif not field.is_required() and _allows_none(field.annotation):
            filled.setdefault(name, None)
    return filled


def _sections(annotation: Any) -> list[type[Section]]:
    options = (annotation, *getattr(annotation, "__args__", ()))
    return [option for option in options if isinstance(option, type) and issubclass(option, Section)]


def _keys(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys that a configuration may have; an entry of `students` stands for each."""
    for name, field in kind.model_fields.items():
        yield f"{prefix}{name}"
        for section in _sections(field.annotation):
            yield from _keys(section, f"{prefix}{name}.")


def _allows_none(annotation: Any) -> bool:
    return type(None) in getattr(annotation, "__args__", ())
