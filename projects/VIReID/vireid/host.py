"""Everything that works around FastReID 1.4.0, each with its cause. No file of it is changed.

``import vireid`` calls ``on_import``; the other functions are called where the toolkit's own would be.
Faults that a subclass mends are mended there: the loader and collator in ``vireid.data``, the step,
schedule and checkpoints in ``vireid.engine``, normalization in ``vireid.modeling``.

Longer than 250 lines: the workarounds for the toolkit stand in one file.
"""

import collections
import collections.abc
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from yacs.config import CfgNode

from vireid.errors import ConfigError

TOOLKIT = "fastreid"
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
    """Make the toolkit's modules importable on this Python and PyTorch."""
    _provide_removed_names()
    _import_torchvision()
    with warnings.catch_warnings():
        # Two warnings that the Cython metrics are not compiled: our evaluator does not use them.
        warnings.filterwarnings("ignore", message="Cython .* evaluation")
        warnings.filterwarnings("ignore", category=SyntaxWarning)
        importlib.import_module("fastreid.evaluation")
    _isolate_regnet_configs()
    _correct_weight_urls()
    _bound_arc_softmax()


def toolkit_version() -> str:
    """FastReID's version; ``fastreid.__version__`` still says 1.3."""
    return importlib.metadata.version("fastreid")


def _provide_removed_names() -> None:
    # data/build.py and evaluation/testing.py import collections.Mapping (gone since Python 3.10);
    # data/build.py imports torch._six (gone since PyTorch 2.0).
    if not hasattr(collections, "Mapping"):
        collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
    if importlib.util.find_spec("torch._six") is None:
        six = types.ModuleType("torch._six")
        six.string_classes = (str, bytes)  # type: ignore[attr-defined]
        sys.modules["torch._six"] = six


def _import_torchvision() -> None:
    # A CPU build of PyTorch beside PyPI's torchvision (a CUDA build): its compiled operators do not
    # load, and registering their meta kernels fails on the missing schemas.
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


def _isolate_regnet_configs() -> None:
    # RegNet and EffNet read "fastreid/modeling/...yaml" relative to the working directory into one
    # config per process, so that the second model built inherits from the first.
    from fastreid.modeling.backbones.regnet import effnet, regnet

    root = Path(regnet.__file__).parents[4]
    for config in (regnet.regnet_cfg, effnet.effnet_cfg):
        if "merge_from_file" not in vars(config):
            merge = partial(_merge_into_defaults, config, config.clone(), root)
            object.__setattr__(config, "merge_from_file", merge)


def _merge_into_defaults(config: CfgNode, defaults: CfgNode, root: Path, filename: str) -> None:
    config.update(defaults.clone())
    CfgNode.merge_from_file(config, str(root / filename))


def _correct_weight_urls() -> None:
    # Three addresses are those of other variants (RegNetX-200MF, EfficientNet-B1 twice), so that a few
    # tensors that happen to fit would be loaded and the rest start from scratch. These are of the same
    # publisher's list, the pycls model zoo, which also has the four smallest RegNets.
    from fastreid.modeling.backbones.regnet import effnet, regnet

    zoo = "https://dl.fbaipublicfiles.com/pycls/dds_baselines/"
    regnet.model_urls.update(
        {
            "200x": f"{zoo}160905981/RegNetX-200MF_dds_8gpu.pyth",
            "200y": f"{zoo}176245422/RegNetY-200MF_dds_8gpu.pyth",
            "400x": f"{zoo}160905967/RegNetX-400MF_dds_8gpu.pyth",
            "400y": f"{zoo}160906449/RegNetY-400MF_dds_8gpu.pyth",
            "800x": f"{zoo}160906036/RegNetX-800MF_dds_8gpu.pyth",
        }
    )
    effnet.model_urls.update(
        {"b3": f"{zoo}161305060/EN-B3_dds_8gpu.pyth", "b5": f"{zoo}161305138/EN-B5_dds_8gpu.pyth"}
    )


def _bound_arc_softmax() -> None:
    # The derivative of acos is infinite at 1, which a cosine rounds to, often so in bf16; and NaN beyond it.
    import torch
    from fastreid.layers.any_softmax import ArcSoftmax

    def forward(self: ArcSoftmax, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        angles = logits.float().clamp(-1 + 1e-6, 1 - 1e-6).acos()
        own = torch.zeros_like(angles).scatter_(1, targets.unsqueeze(1), self.m)
        return (angles + own).cos().mul(self.s)

    ArcSoftmax.forward = forward


def check_supported(cfg: CfgNode) -> None:
    """Refuse, before anything is built, what the toolkit accepts and then fails at or ignores.

    Raises:
        ConfigError: names the key, its value and what to set instead.
    """
    backbone = cfg.MODEL.BACKBONE
    if backbone.NAME == "build_resnext_backbone" and backbone.DEPTH == "152x":
        raise ConfigError(
            "MODEL.BACKBONE.DEPTH 152x: FastReID's ResNeXt has no non-local table for it; use 50x or 101x"
        )
    if backbone.NAME == "build_resnet_backbone" and backbone.WITH_NL and backbone.DEPTH in ("18x", "34x"):
        raise ConfigError(
            f"MODEL.BACKBONE.WITH_NL True has no effect in FastReID's ResNet {backbone.DEPTH}; "
            "set it False, or DEPTH to 50x or 101x"
        )
    if cfg.SOLVER.OPT == "SGD" and cfg.SOLVER.NESTEROV and not cfg.SOLVER.MOMENTUM:
        raise ConfigError("SOLVER.NESTEROV True needs SOLVER.MOMENTUM above 0; it is 0.0")
    for key in ("NAMES", "TESTS"):
        if "SYSU_mm" in cfg.DATASETS[key]:
            raise ConfigError(
                f"DATASETS.{key} names SYSU_mm: FastReID's class trains on visible images of all "
                "identities, test ones included, and has no test set; use SYSUMM01"
            )


def join_process_group(device: str) -> None:
    """Set up what ``torchrun`` launched: on GPUs NCCL and one for each process, else gloo.

    The toolkit's own launcher demands CUDA, and its ``comm.get_local_rank`` the group made here.

    Args:
        device: MODEL.DEVICE.

    Raises:
        ConfigError: more processes on this machine than GPUs, or one GPU for all of them.
    """
    import torch
    import torch.distributed as dist
    from fastreid.utils import comm

    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        return
    # comm.gather makes its buffers of a deprecated storage class.
    warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    on_gpu = device.startswith("cuda") and torch.cuda.is_available()
    if on_gpu:
        found, (_, _, index) = torch.cuda.device_count(), device.partition(":")
        if local_size > found or (index and local_size > 1):
            raise ConfigError(
                f"MODEL.DEVICE is {device}: {local_size} processes on this machine need a GPU each, and "
                f"there are {1 if index else found}; start fewer, or set MODEL.DEVICE to cuda or cpu"
            )
        torch.cuda.set_device(int(index or local_rank))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    for first in range(0, dist.get_world_size(), local_size):
        ranks = list(range(first, first + local_size))
        group = dist.new_group(ranks)
        if dist.get_rank() in ranks:
            comm._LOCAL_PROCESS_GROUP = group
