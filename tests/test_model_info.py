"""vireid info against figures worked out by hand."""

import json

import pytest

from configs import PROJECTS

# ResNet-10 of width 8: two copies of a 7x7 stem and its norm.
SMALL = [
    *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.DEPTH", "10x"),
    *("MODEL.BACKBONE.WIDTH", "8", "MODEL.BACKBONE.WITH_NL", "False", "MODEL.DEVICE", "cpu"),
    *("INPUT.SIZE_TRAIN", "[64, 32]", "INPUT.SIZE_TEST", "[64, 32]"),
]


@pytest.fixture
def info(command):
    """The tool for the config of a method: (exit status, what it printed, its error)."""

    def run(method, *opts, json_output=True):
        file = PROJECTS / method / "configs" / "sysu.yml"
        flags = ["--json"] if json_output else []
        return command("info", *flags, "--seconds", 0, "--config-file", file, *opts)

    return run


def conv(channels_in, channels_out, kernel, height, width):
    """(parameters, FLOPs) of a convolution without bias."""
    parameters = channels_in * channels_out * kernel**2
    return parameters, 2 * parameters * height * width


def test_parameters_flops_and_shapes_are_those_of_the_layers(info):
    status, output, _ = info("VIReID", *SMALL, "MODEL.HEADS.NUM_CLASSES", "7")
    found = json.loads(output)
    assert status == 0
    stem = conv(3, 8, 7, 32, 16)
    layers = [
        stem,
        *(conv(8, 8, 3, 16, 8), conv(8, 8, 3, 16, 8)),
        *(conv(8, 16, 3, 8, 4), conv(16, 16, 3, 8, 4), conv(8, 16, 1, 8, 4)),
        *(conv(16, 32, 3, 4, 2), conv(32, 32, 3, 4, 2), conv(16, 32, 1, 4, 2)),
        *(conv(32, 64, 3, 4, 2), conv(64, 64, 3, 4, 2), conv(32, 64, 1, 4, 2)),
    ]
    norms = 2 * (8 + 2 * 8 + 3 * 16 + 3 * 32 + 3 * 64)
    of_a_copy = stem[0] + 2 * 8
    backbone = sum(parameters for parameters, _ in layers) + norms + of_a_copy
    head = 2 * 64 + 7 * 64
    assert found["parameters"] == {
        "total": backbone + head,
        "backbone": backbone,
        "head": head,
        "visible_only": of_a_copy,
        "infrared_only": of_a_copy,
    }
    flops = sum(flops for _, flops in layers)
    assert found["flops"] == {"visible": flops, "infrared": flops}
    assert found["feature_map"] == [64, 4, 2] and found["embedding"] == 64
    assert found["modality_specific"] == ["conv1", "bn1"]


def test_memory_grows_with_the_batch_and_holds_the_largest_activation(info):
    _, output, _ = info("VIReID", *SMALL)
    batches = json.loads(output)["batches"]
    stem_output = 8 * 32 * 16 * 4 / 2**20
    assert batches["32"]["memory_mib"] > 32 * stem_output
    assert batches["32"]["memory_mib"] > 10 * batches["1"]["memory_mib"] > 0
    assert all(batch["images_per_second"] > 0 for batch in batches.values())


def test_one_stream_and_stripes_in_the_embedding(info):
    opts = ["MODEL.HEADS.PARTS.COUNT", "2", "MODEL.HEADS.PARTS.IN_EMBEDDING", "True"]
    status, output, _ = info("PMCM", *SMALL, *opts, "MODEL.TWO_STREAM.SPECIFIC", "[]", json_output=False)
    assert status == 0
    rows = dict(line.split("  ", 1) for line in output.splitlines())
    assert rows["modality-specific"].strip() == "none: one stream"
    assert rows["embedding"].strip() == str(3 * 64)
    assert "parameters, visible_only" not in rows


def test_an_error_is_one_line(info):
    status, output, error = info("VIReID", "MODEL.BACKBONE.DEPTH", "51x")
    assert (status, output) == (2, "")
    assert error == (
        "error: MODEL.BACKBONE.DEPTH is '51x', which build_resnet_backbone does not have; "
        "it has 18x, 34x, 50x, 101x\n"
    )
