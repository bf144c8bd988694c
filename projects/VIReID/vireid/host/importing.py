"""Importing the toolkit: what it needs on this Python and PyTorch comes first, the patches come after."""

import collections
import collections.abc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from vireid.host.patching import CORRECTED, PROVIDED, REPLACED, TOOLKIT, provides

FAISS_COMMAND = "pip install faiss-cpu, or faiss-gpu"
INSTALL_COMMAND = "pip install --no-deps fastreid==1.4.0"

_kept_alive: list[object] = []  # operator libraries: dropping one drops its operators


def is_installed() -> bool:
    """Whether FastReID can be imported."""
    return TOOLKIT in sys.modules or importlib.util.find_spec(TOOLKIT) is not None


def on_import(register: Callable[[], object]) -> None:
    """Mend the toolkit and call ``register`` as soon as the toolkit is imported; now, if it is already.

    So ``import vireid.evaluation`` alone imports no toolkit. Where FastReID is not installed, a warning says
    how to install it.
    """
    if not is_installed():
        warnings.warn(
            "FastReID is not installed; only vireid.evaluation and exported models work: run "
            f"`{INSTALL_COMMAND}` "
            "(--no-deps, because its metadata pins torch 1.13.1; fastreid-vi lists its other needs)",
            stacklevel=3,
        )
    elif TOOLKIT in sys.modules:
        _mend()
        register()
    else:
        sys.meta_path.insert(0, _ToolkitFinder(register))


class _ToolkitFinder(importlib.abc.MetaPathFinder):
    """Finds the toolkit as Python does, with a loader that mends it and then calls ``register``."""

    def __init__(self, register: Callable[[], object]) -> None:
        self.register = register
        self.searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != TOOLKIT or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _ToolkitLoader(spec.loader, self)
        return spec


class _ToolkitLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, finder: _ToolkitFinder) -> None:
        self.loader, self.finder = loader, finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _mend()
        self.finder.register()


def _mend() -> None:
    for patch in PROVIDED:
        patch.function()
    with warnings.catch_warnings():
        # Two warnings that the Cython metrics are not compiled: they are not needed.
        warnings.filterwarnings("ignore", message="Cython .* evaluation")
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        importlib.import_module("fastreid.evaluation.roc")  # the last one that imports faiss
        if isinstance(sys.modules["faiss"], _NoFaiss):
            del sys.modules["faiss"]
        for patch in CORRECTED:
            patch.function()
        for patch in REPLACED:
            patch.switch(True)


@provides("collections:Mapping", "data/build.py imports it from there, where it is not since Python 3.10")
def _provide_mapping() -> None:
    if not hasattr(collections, "Mapping"):
        collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]


@provides("torch._six:string_classes", "data/build.py imports it, and PyTorch 2.0 has dropped it")
def _provide_string_classes() -> None:
    if importlib.util.find_spec("torch._six") is None:
        six = types.ModuleType("torch._six")
        six.string_classes = (str, bytes)  # type: ignore[attr-defined]
        sys.modules["torch._six"] = six


@provides("numpy:bool", "the cuhk03 metric uses it, and NumPy 1.24 to 1.26 do not have it")
def _provide_bool() -> None:
    numpy: Any = importlib.import_module("numpy")
    if not hasattr(numpy, "bool"):
        numpy.bool = numpy.bool_


@provides(
    "torchvision:ops",
    "the operators of PyPI's torchvision do not load beside a CPU build of PyTorch, and without their "
    "schemas torchvision cannot be imported",
)
def _provide_operator_schemas() -> None:
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = importlib.import_module("torch").library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept_alive.append(library)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to load image Python extension")
        importlib.import_module("torchvision")


class _NoFaiss(types.ModuleType):
    """Stands in for faiss in the toolkit's modules, and says what to install where they use it."""

    METRIC_L2 = 1  # a default argument of theirs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        fault = f"FastReID calls faiss.{name}, and faiss cannot be imported ({self.__doc__})"
        raise ImportError(f"{fault}: {FAISS_COMMAND}", name="faiss")


@provides("faiss", "three modules import it; only a call of faiss needs it: re-ranking is this plugin's")
def _provide_faiss() -> None:
    try:
        importlib.import_module("faiss")
    except (ImportError, RuntimeError, OSError) as error:  # one for GPUs without its libraries
        # Until the toolkit is imported: no other package is to find it.
        sys.modules["faiss"] = _NoFaiss("faiss", str(error).partition("\n")[0])
