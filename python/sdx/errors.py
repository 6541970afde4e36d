"""Errors that a user of sdx can meet; every message says what was expected, what came, and what to do."""


class SdxError(Exception):
    """Base of all errors raised by sdx on purpose. The command line prints its message as one line, exit code 1."""


class ConfigError(SdxError):
    """A configuration key, value or combination that cannot run."""


class DataError(SdxError):
    """A file or folder of images, pairs or scores that cannot be read as what it claims to be."""


class ArtefactError(SdxError):
    """A model file that is missing, damaged, of an unknown kind, or fails its self-check."""


class CheckpointError(SdxError):
    """A run folder that cannot be written, or a checkpoint that cannot be continued from."""
