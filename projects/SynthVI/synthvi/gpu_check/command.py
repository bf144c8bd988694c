"""Check this project on a machine with a CUDA GPU, in eight minutes.

Four parts, each of which has a part of the time, a log of its own, and loses nothing where another one fails:

  tests      those marked gpu: a training step of every shipped config in float32, bf16 and fp16 beside the
             CPU's, fp16's loss scale, channels-last memory, a killed run that goes on, random generators,
             two processes (NCCL where there are two GPUs), SyncBN, waits for the device, evaluation, MSER,
             embedding, exported files
  step       tools/benchmark.py step, bf16, 384x192
  data       tools/benchmark.py data, 384x192, with a training on the GPU
  trainings  the minutes that are left: AGW, PMCM with p 0 and 0.25, MCJA; ResNet-50 from scratch, 288x144, on
             persons of synthvi-1.0, all rows for the same steps

Afterwards, the output folder has report.json and report.md with the chip, the versions, the commit and all
figures. The exit status is 0 where every part is done. The images of the trainings, 3,600 of 50 MB at most,
are rendered at the start; one core takes about 22 seconds for them, and all cores share the work.
"""

import argparse
import sys
from pathlib import Path

import torch

from synthvi.gpu_check.check import PARTS, run_check
from synthvi.gpu_check.images import prepare_images
from synthvi.gpu_check.scale import FULL, TINY
from vireid.errors import ConfigError, UserError

EXAMPLES = """
examples:
  the whole check, the report in logs/gpu:
    python tools/gpu.py
  on a machine that is lent for fifteen minutes, with images that were rendered elsewhere:
    python tools/gpu.py --prepare gpu_images
    python tools/gpu.py --images gpu_images --minutes 12 --output report
  the tests alone:
    python tools/gpu.py --parts tests
  whether the program itself works, where there is no GPU (a minute on two cores):
    python tools/gpu.py --tiny --device cpu
"""


def main() -> int:
    """Run the check; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0, metavar="N", help="the whole time (default 8)")
    parser.add_argument("--output", type=Path, default=Path("logs/gpu"), metavar="DIR", help="logs/gpu")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="some of the parts")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="of --prepare")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="render the images there, and end")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, images and trainings")
    arguments = parser.parse_args()
    scale = TINY if arguments.tiny else FULL
    try:
        if arguments.prepare:
            made = prepare_images(arguments.prepare, scale)
            print(", ".join(f"{name} {value}" for name, value in made.items()))
            return 0
        if arguments.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("PyTorch finds no GPU; --tiny --device cpu tries the program itself")
        return run_check(
            scale, arguments.device, arguments.minutes, arguments.output, arguments.images, arguments.parts
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
