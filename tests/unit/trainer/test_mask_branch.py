"""The branch for masks: it learns masks from its features, only inside the boxes, and from some of many locations."""

import pytest
import torch
from torch import Tensor

from vott_trainer.vision.mask_branch import MAX_TRAINED, PROTOTYPES, STRIDE, MaskBranch, mask_loss, masks_of

HEIGHT, WIDTH = 48, 64  # of the images
BOXES = torch.tensor([[4.0, 4.0, 36.0, 44.0], [32.0, 8.0, 60.0, 40.0]])


def discs() -> Tensor:
    """The mask of a disc in each of BOXES, at the stride of the branch."""
    y = (torch.arange(HEIGHT // STRIDE)[:, None] + 0.5) * STRIDE
    x = (torch.arange(WIDTH // STRIDE)[None] + 0.5) * STRIDE
    masks = [(x - 20) ** 2 / 256 + (y - 24) ** 2 / 400 <= 1, (x - 46) ** 2 / 196 + (y - 24) ** 2 / 256 <= 1]
    return torch.stack(masks).to(torch.uint8)


def prototypes(seed: int = 0) -> Tensor:
    return torch.randn(PROTOTYPES, HEIGHT // STRIDE, WIDTH // STRIDE, generator=torch.Generator().manual_seed(seed))


def loss(coefficients: Tensor, prototypes: Tensor, objects: list[int], weights: list[float]) -> Tensor:
    return mask_loss(prototypes, coefficients, torch.tensor(objects), torch.tensor(weights), BOXES, discs())


def test_branch_learns_the_masks_of_two_objects() -> None:
    torch.manual_seed(0)
    branch = MaskBranch(32)
    maps = [torch.randn(1, 32, HEIGHT // stride, WIDTH // stride) for stride in (8, 16)]
    optimizer = torch.optim.Adam(branch.parameters(), lr=3e-3)
    places = torch.tensor([2 * 8 + 2, 2 * 8 + 5])  # of the coefficients: one in each object
    losses = []
    for _ in range(40):
        masks, coefficients = branch(maps)
        value = loss(coefficients[0][places], masks[0], [0, 1], [1.0, 1.0])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < losses[0] / 3
    found = masks_of(masks[0], coefficients[0][places], BOXES, (HEIGHT, WIDTH)) > 0.5
    truth = torch.nn.functional.interpolate(discs()[None].float(), (HEIGHT, WIDTH))[0] > 0.5
    overlap = (found & truth).sum(dim=(1, 2)) / (found | truth).sum(dim=(1, 2))
    assert (overlap > 0.7).all()


def test_shapes_are_those_of_the_maps_and_the_image() -> None:
    branch = MaskBranch(32)
    masks, coefficients = branch([torch.zeros(2, 32, 7, 9), torch.zeros(2, 32, 4, 5)])
    assert masks.shape == (2, PROTOTYPES, 14, 18)
    assert coefficients.shape == (2, 7 * 9 + 4 * 5, PROTOTYPES)
    assert masks_of(masks[0], coefficients[0][:3], torch.zeros(3, 4), (53, 71)).shape == (3, 53, 71)


def test_mask_is_cut_to_a_slightly_larger_box() -> None:
    everywhere = torch.full((1, PROTOTYPES), 9.0)
    full = masks_of(
        torch.ones(PROTOTYPES, 12, 16), everywhere, torch.tensor([[20.0, 20.0, 40.0, 30.0]]), (HEIGHT, WIDTH)
    )
    inside = (full[0] > 0.5).nonzero()
    assert (inside.amin(dim=0).tolist(), inside.amax(dim=0).tolist()) == ([19, 18], [30, 41])


def test_loss_does_not_look_beyond_the_box() -> None:
    inner, coefficients = prototypes(), torch.randn(1, PROTOTYPES)
    outer = inner.clone()
    outer[:, :, WIDTH // STRIDE - 5 :] += 7.0  # right of the first box
    assert loss(coefficients, inner, [0], [1.0]) == loss(coefficients, outer, [0], [1.0])
    assert loss(coefficients, inner, [1], [1.0]) != loss(coefficients, outer, [1], [1.0])


def test_locations_weigh_as_they_are_told() -> None:
    coefficients = torch.randn(2, PROTOTYPES)
    one, other = (loss(coefficients[[n]], prototypes(), [n], [1.0]) for n in (0, 1))
    assert loss(coefficients, prototypes(), [0, 1], [2.0, 0.5]) == pytest.approx(float(2 * one + 0.5 * other), rel=1e-5)


def test_some_of_many_locations_stand_for_all() -> None:
    one = torch.randn(1, PROTOTYPES)
    many = one.expand(3 * MAX_TRAINED, -1)
    expected = 3 * MAX_TRAINED * loss(one, prototypes(), [0], [0.5])
    torch.manual_seed(0)
    assert loss(many, prototypes(), [0] * 300, [0.5] * 300) == pytest.approx(float(expected), rel=1e-4)


def test_image_without_objects_has_a_loss_of_zero_and_gradients() -> None:
    branch = MaskBranch(32)
    masks, coefficients = branch([torch.randn(1, 32, 6, 8)])
    nothing = torch.zeros(0, dtype=torch.int64)
    value = mask_loss(
        masks[0], coefficients[0][nothing], nothing, torch.zeros(0), torch.zeros(0, 4), torch.zeros(0, 12, 16)
    )
    value.backward()  # type: ignore[no-untyped-call]
    assert value == 0
    assert all(parameter.grad is not None for parameter in branch.parameters())  # several processes need each
