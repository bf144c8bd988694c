import torch

from vireid.modeling.heads import UnclampedGeM


def test_positive_features_are_pooled_as_published():
    features = torch.rand(3, 5, 4, 2)
    published = (features.pow(3).mean(dim=(2, 3), keepdim=True) + 1e-12).pow(1 / 3)
    assert torch.equal(UnclampedGeM()(features), published)


def test_features_of_either_sign_have_a_real_root_and_a_gradient():
    """As of a Swish or a transformer, where the published form is not a number."""
    features = torch.tensor([[[[-0.2, 0.1]], [[-0.3, -0.3]], [[0.0, 0.0]]]], requires_grad=True)
    pooled = UnclampedGeM()(features)
    torch.testing.assert_close(pooled.flatten(), torch.tensor([-(0.0035 ** (1 / 3)), -0.3, 1e-4]))
    pooled.sum().backward()
    assert torch.isfinite(features.grad).all() and features.grad[0, :2].min() > 0
