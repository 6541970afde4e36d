"""Evidence about Triton kernels without a GPU: what ran, what it touched, whether order matters, what it compiles to.

For any project's kernels: see README.md beside this package, or take the pytest fixtures of
`pytest_plugins = ["sdx_kernels.testing.plugin"]`.
"""

from sdx_kernels.testing.fences import Fences
from sdx_kernels.testing.library import library_calls
from sdx_kernels.testing.order import permuted
from sdx_kernels.testing.recording import Launch, Recording, Traffic, record

__all__ = ["Fences", "Launch", "Recording", "Traffic", "library_calls", "permuted", "record"]
