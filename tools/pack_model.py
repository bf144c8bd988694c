#!/usr/bin/env python
"""A safetensors file of `vireid export` in half precision, with a digest of its own: half the size."""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save

from vireid.engine.checkpoints.digest import KEY, safetensors_digest
from vireid.modeling.weight_files import read_safetensors


def main() -> None:
    """Read, halve, write; print size and digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, metavar="model.safetensors")
    parser.add_argument("output", type=Path, metavar="FILE.safetensors")
    args = parser.parse_args()
    tensors, metadata = read_safetensors(args.model, "the model")
    halved = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    metadata = {key: value for key, value in metadata.items() if key != KEY}
    digest = safetensors_digest(halved, metadata)
    metadata[KEY] = json.dumps(digest)
    if not all(torch.isfinite(value).all() for value in halved.values()):
        parser.error(f"{args.model} holds a weight that is too large for half precision")
    content = save(halved, metadata=metadata)
    args.output.write_bytes(content)
    print(f"{args.output}: {len(content) / 1e6:.2f} MB, digest {digest}")


if __name__ == "__main__":
    main()
