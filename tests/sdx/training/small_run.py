"""Keys of runs that take seconds."""

from __future__ import annotations

RUN = {
    "sampler": "resample",
    "images": "96",
    "batch": "16",
    "eval": "none",
    "baselines": "false",
    "held_out": "8",
    "validate_every": "32",
    "checkpoint_every": "none",
}
RENDERED = {"source": "simface", "source.size": "32"}
TWO_STUDENTS = {
    "log_every": "16",
    "students": "small,mobilefacenet",
    "students.small.size": "32",
    "students.mobilefacenet.size": "32",
    "augment.flip": "true",
    "augment.degrade": "0.3",
    "device": "cpu",
}
