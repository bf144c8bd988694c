import pytest
import torch
from fastreid.modeling import build_model
from torch import nn

from configs import tiny_config
from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.modeling.meta_arch import fails_in_channels_last


def random_batch(modalities, size=(64, 32), classes=5):
    count = len(modalities)
    return {
        "images": torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8),
        "targets": torch.arange(count) % classes,
        "camids": torch.zeros(count, dtype=torch.long),
        "modalities": torch.tensor(modalities),
        "img_paths": [""] * count,
    }


def test_embeddings_come_in_the_order_of_the_batch():
    torch.manual_seed(0)
    model = build_model(tiny_config()).eval()
    batch = random_batch([1, 0, 1, 0, 0])
    embeddings = model(batch)
    for position in range(5):
        alone = {key: value[position : position + 1] for key, value in batch.items()}
        torch.testing.assert_close(model(alone), embeddings[position : position + 1], rtol=1e-4, atol=1e-5)


def test_images_are_normalized_out_of_place_whatever_their_type():
    model = build_model(tiny_config()).eval()
    batch = random_batch([0, 1])
    before = batch["images"].clone()
    as_float = model({**batch, "images": batch["images"].float()})
    torch.testing.assert_close(model(batch), as_float)
    assert torch.equal(batch["images"], before)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255
    torch.testing.assert_close(model.preprocess_image(batch), (before - mean) / std)


def test_every_trainable_tensor_gets_a_gradient():
    model = build_model(tiny_config()).train()
    sum(model(random_batch([0, 0, 0, 1, 1, 1])).values()).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_the_infrared_stem_moves_infrared_embeddings_alone():
    model = build_model(tiny_config()).eval()
    batch = random_batch([0, 1, 0, 1])
    before = model(batch)
    torch.nn.init.normal_(model.backbone.conv1.infrared.weight)
    moved = (model(batch) - before).abs().amax(dim=1) > 1e-4
    assert moved.tolist() == [False, True, False, True]


def test_the_shared_trunk_sees_both_modalities_at_once():
    model = build_model(tiny_config()).train()
    seen = []
    model.backbone.layer1[0].register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    model(random_batch([0, 0, 1, 1]))
    assert seen == [4]


def test_losses_do_not_depend_on_the_order_of_the_batch():
    model = build_model(tiny_config()).train()
    batch = random_batch([0, 0, 0, 1, 1, 1], classes=3)
    shuffled = {
        key: [value[i] for i in (5, 0, 3, 1, 4, 2)] if key == "img_paths" else value[[5, 0, 3, 1, 4, 2]]
        for key, value in batch.items()
    }
    ours, theirs = model(batch), model(shuffled)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-4)


def test_feature_dimension_is_found_out_and_a_wrong_one_refused():
    assert build_model(tiny_config()).heads.weight.shape == (5, 64)
    with pytest.raises(ConfigError, match="FEAT_DIM is 2048.*gives 64 channels; set it to 64"):
        build_model(tiny_config(MODEL__BACKBONE__FEAT_DIM=2048))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"MODEL__BACKBONE__NAME": "build_renset_backbone"}, "did you mean build_resnet_backbone"),
        ({"MODEL__BACKBONE__DEPTH": "12x"}, "DEPTH is '12x'"),
        ({"MODEL__HEADS__NAME": "EmbedingHead"}, "did you mean EmbeddingHead"),
        ({"MODEL__LOSSES__NAME": ["TripletLos"]}, "did you mean TripletLoss"),
        ({"MODEL__LOSSES__NAME": []}, "nothing to train on"),
        ({"MODEL__BATCH_TRANSFORMS": ["PathMix"]}, "did you mean PatchMix"),
        ({"MODEL__ADAPTERS": ["None"]}, "MODEL.ADAPTERS names 'None'"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest_known(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build_model(tiny_config(**overrides))


def test_a_loss_that_lacks_its_input_says_so():
    model = build_model(tiny_config(MODEL__LOSSES__NAME=["PartAlignmentLoss"])).train()
    with pytest.raises(ConfigError, match="PartAlignmentLoss needs part_logits"):
        model(random_batch([0, 1]))


def test_a_batch_without_modalities_is_refused():
    """In training; in a test, colors say what an image is (tests/toolkit/test_calls.py)."""
    images = torch.zeros(1, 3, 64, 32)
    model = build_model(tiny_config())
    for mode, given in (
        (True, images),
        (True, {"images": images}),
        (False, {"targets": [0]}),
        (False, [images]),
    ):
        with pytest.raises(ValueError, match="a batch is a dict with images"):
            model.train(mode)(given)


def test_no_channels_last_where_the_cpu_would_write_past_its_memory():
    """A strided 1x1 convolution of three channels, as in RepVGG's stem."""
    fails = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2))
    assert fails_in_channels_last(fails, "cpu") and not fails_in_channels_last(fails, "cuda")
    for works in (nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(16, 8, 1, stride=2)):
        assert not fails_in_channels_last(works, "cpu")
    repvgg = {"MODEL__BACKBONE__NAME": "build_repvgg_backbone", "MODEL__BACKBONE__DEPTH": "A0"}
    model = build_model(tiny_config(MODEL__CHANNELS_LAST=True, **repvgg))
    assert model.memory_format == torch.contiguous_format


def test_channels_last_gives_the_same_embeddings():
    torch.manual_seed(0)
    plain = build_model(tiny_config(MODEL__BACKBONE__WIDTH=16, MODEL__CHANNELS_LAST=False)).eval()
    torch.manual_seed(0)
    last = build_model(tiny_config(MODEL__BACKBONE__WIDTH=16, MODEL__CHANNELS_LAST=True)).eval()
    batch = random_batch([int(Modality.VISIBLE), int(Modality.INFRARED)])
    assert last.preprocess_image(batch).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(batch), plain(batch), rtol=1e-4, atol=1e-5)
