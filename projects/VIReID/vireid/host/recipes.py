"""What the toolkit's own recipes need on this PyTorch, on a CPU as on GPUs: each fault with its cause.

A fault of the toolkit's that a subclass of ours mends is mended there: the step, schedule and checkpoints in
``vireid.engine``, the loader in ``vireid.data``.
"""

import argparse
import importlib
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vireid.host.patching import corrects, replaces

logger = logging.getLogger("fastreid.vireid.host")


@corrects(
    "fastreid.modeling.backbones.regnet.regnet:regnet_cfg",
    "RegNet and EffNet read their YAML relative to the working directory, into one config a process: the "
    "second model that is built inherits from the first",
)
def _isolate_regnet_configs() -> None:
    from fastreid.modeling.backbones.regnet import effnet, regnet

    root = Path(regnet.__file__).parents[4]
    for config in (regnet.regnet_cfg, effnet.effnet_cfg):
        if "merge_from_file" not in vars(config):
            merge = partial(_merge_into_defaults, config, config.clone(), root)
            object.__setattr__(config, "merge_from_file", merge)


def _merge_into_defaults(config: CfgNode, defaults: CfgNode, root: Path, filename: str) -> None:
    config.update(defaults.clone())
    CfgNode.merge_from_file(config, str(root / filename))


@corrects(
    "fastreid.modeling.backbones.regnet.regnet:model_urls",
    "three addresses of weights are those of other variants (RegNetX-200MF, EfficientNet-B1 twice), and the "
    "four smallest RegNets have none",
)
def _correct_weight_urls() -> None:
    # Of the same publisher's list, the pycls model zoo.
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


@corrects(
    "fastreid.evaluation:evaluate_rank", "demo/visualize_result.py imports it from there, where it is not"
)
def _export_evaluate_rank() -> None:
    evaluation: Any = importlib.import_module("fastreid.evaluation")
    evaluation.evaluate_rank = importlib.import_module("fastreid.evaluation.rank").evaluate_rank


@replaces(
    "fastreid.layers.any_softmax:ArcSoftmax.forward",
    "the derivative of acos is infinite at 1, to which cosines are rounded, often so in bf16, and NaN beyond",
)
def _bounded_arc_softmax(original: Any, head: Any, logits: Any, targets: Any) -> Any:
    import torch

    angles = logits.float().clamp(-1 + 1e-6, 1 - 1e-6).acos()
    own = torch.zeros_like(angles).scatter_(1, targets.unsqueeze(1), head.m)
    return (angles + own).cos().mul(head.s)


@replaces(
    "fastreid.solver.build:build_optimizer",
    "since PyTorch 2, zero_grad drops the gradient of the flat buffer of all weights, and no weight is ever "
    "updated; and tools/plain_train_net.py takes the pair that is returned for the optimizer",
)
def _optimizer_of_flat_buffer(original: Any, cfg: CfgNode, model: Any, contiguous: bool = True) -> Any:
    optimizer, parameters = original(cfg, model, contiguous)
    if not contiguous:
        return optimizer, parameters
    optimizer.zero_grad = partial(optimizer.zero_grad, set_to_none=False)
    kind = type(optimizer)  # what is returned is the optimizer, and can be taken apart as the pair
    pair = {"__iter__": lambda self: iter((self, parameters))}
    optimizer.__class__ = type(kind.__name__, (kind,), pair)
    return optimizer


@replaces(
    "fastreid.data.data_utils:DataLoaderX.__init__",
    "it makes a CUDA stream, also where there is no GPU; there, it becomes PyTorch's own loader",
)
def _loader_anywhere(original: Any, loader: Any, local_rank: int, **settings: Any) -> None:
    import torch

    if torch.cuda.is_available():
        original(loader, local_rank, **settings)
    else:
        loader.__class__ = torch.utils.data.DataLoader
        loader.__init__(**{**settings, "pin_memory": False})


@replaces(
    "fastreid.modeling.meta_arch.build:build_model",
    "MODEL.DEVICE cuda, the default, fails where there is no GPU; now the CPU is taken, with a warning",
)
def _model_anywhere(original: Any, cfg: CfgNode) -> Any:
    import torch

    if cfg.MODEL.DEVICE.startswith("cuda") and not torch.cuda.is_available():
        logger.warning("MODEL.DEVICE asks for a GPU, and there is none: running on the CPU")
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = "cpu"
    return original(cfg)


@replaces("fastreid.modeling.meta_arch.mgn:MGN.preprocess_image", "as Baseline's")
@replaces(
    "fastreid.modeling.meta_arch.baseline:Baseline.preprocess_image",
    "it normalizes in place, so that a flipped test batch is normalized twice; and it leaves the batch on "
    "the device of the loader, which may be another than the model's",
)
def _normalized(original: Any, model: Any, batch: Any) -> Any:
    import torch

    if isinstance(batch, dict):  # the labels are read from it afterwards
        tensors = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor)}
        batch.update({key: value.to(model.device, non_blocking=True) for key, value in tensors.items()})
    images = batch["images"] if isinstance(batch, dict) else batch.to(model.device)
    return original(model, images.to(model.pixel_mean.dtype, copy=True))


@replaces(
    "fastreid.engine.train_loop:AMPTrainer.run_step", "it demands CUDA; on a CPU, float32 is computed instead"
)
def _step_anywhere(original: Any, trainer: Any) -> None:
    from fastreid.engine.train_loop import SimpleTrainer

    on_gpu = next(trainer.model.parameters()).is_cuda
    (original if on_gpu else SimpleTrainer.run_step)(trainer)


@replaces(
    "fastreid.engine.defaults:DistributedDataParallel",
    "it is given device_ids, which a model on the CPU must not have",
)
def _parallel_anywhere(original: Any, model: Any, device_ids: Any = None, **settings: Any) -> Any:
    return original(model, device_ids if next(model.parameters()).is_cuda else None, **settings)


@replaces(
    "fastreid.engine.hooks:EvalHook.__init__",
    "EVAL_PERIOD 0 divides by zero; here it means after the last epoch",
)
def _evaluated_at_the_end(original: Any, hook: Any, eval_period: int, eval_function: Any) -> None:
    original(hook, eval_period or sys.maxsize, eval_function)


@replaces(
    "fastreid.engine.defaults:DefaultTrainer.train", "resuming a finished run fails; here it is evaluated"
)
def _finished_is_evaluated(original: Any, trainer: Any) -> Any:
    if trainer.start_epoch < trainer.max_epoch:
        return original(trainer)
    logger.info(f"All {trainer.max_epoch} epochs (SOLVER.MAX_EPOCH) are trained already; evaluating")
    return trainer.test(trainer.cfg, trainer.model)


@replaces(
    "fastreid.engine.defaults:DefaultTrainer.auto_scale_hyperparams",
    "it writes config.yaml before OUTPUT_DIR exists",
)
def _folder_first(original: Any, cfg: CfgNode, num_classes: int) -> CfgNode:
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    scaled: CfgNode = original(cfg, num_classes)
    return scaled


@replaces(
    "fastreid.engine.defaults:default_setup",
    "it opens --config-file in the encoding of the locale, and a config may be given by its name",
)
def _setup_without_the_file(original: Any, cfg: CfgNode, args: Any) -> None:
    # Its keys are logged in any case.
    original(cfg, argparse.Namespace(**{**vars(args), "config_file": ""}))


@replaces(
    "fastreid.evaluation.reid_evaluation:ReidEvaluator._compile_dependencies",
    "it compiles into the installed package; without Cython or make it ends the process",
)
def _nothing_compiled(original: Any, evaluator: Any) -> None:
    pass
