"""Everything that works around FastReID 1.4.0 stands in this folder, each patch with its cause.

No file of the toolkit is changed, and nothing is patched that a subclass can do. ``import vireid`` calls
``on_import``. ``importing`` provides what the toolkit needs to be imported, ``recipes`` mends what its own
recipes need, ``calls`` has the calls that this plugin serves, ``processes`` starts processes.
"""

import importlib.metadata

from vireid.host import calls, processes, recipes  # noqa: F401  (each registers its patches)
from vireid.host.calls import is_vireid, serve_calls
from vireid.host.importing import INSTALL_COMMAND, is_installed, on_import
from vireid.host.patching import CORRECTED, PROVIDED, REPLACED, TOOLKIT
from vireid.host.processes import join_process_group

__all__ = [
    "INSTALL_COMMAND",
    "TOOLKIT",
    "is_installed",
    "is_vireid",
    "join_process_group",
    "on_import",
    "patches",
    "serve_calls",
    "toolkit_version",
]


def patches() -> list[tuple[str, str]]:
    """What is provided to the toolkit, corrected or replaced in it, each as "module:name", and why."""
    return [(patch.target, patch.cause) for patch in (*PROVIDED, *CORRECTED, *REPLACED)]


def toolkit_version() -> str:
    """FastReID's version; ``fastreid.__version__`` still says 1.3."""
    return importlib.metadata.version(TOOLKIT)
