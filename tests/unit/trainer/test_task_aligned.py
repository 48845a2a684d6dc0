"""Task-aligned assignment and losses of the small detector."""

import torch

from vott_trainer.vision import task_aligned
from vott_trainer.vision.task_aligned import assign, box_loss, varifocal_loss

CENTERS = torch.tensor([[x + 4.0, y + 4.0] for y in range(0, 64, 8) for x in range(0, 64, 8)])
STRIDES = torch.full((64, 1), 8.0)


def boxes_around(half: float) -> torch.Tensor:
    return torch.cat((CENTERS - half, CENTERS + half), dim=1)


def test_object_is_learned_by_the_locations_that_overlap_it_best() -> None:
    truth = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    result = assign(torch.full((64, 2), 0.5), boxes_around(16), CENTERS, STRIDES, truth, torch.tensor([1]))
    positive = (result.objects == 0).nonzero().flatten()
    assert len(positive) == task_aligned.TOP
    assert ((CENTERS[positive] - 16).abs() <= 16).all(), "centers in the box"
    assert result.scores[:, 0].sum() == 0, "another class"
    best = result.scores[:, 1].argmax()
    assert (CENTERS[best] - 16).abs().max() == 4, "one of the four in the middle"
    assert 0.5 < float(result.scores[best, 1]) <= 1, "its overlap"


def test_score_decides_between_locations_that_overlap_equally() -> None:
    scores = torch.full((64, 1), 0.1)
    scores[27] = 0.9
    same = torch.tensor([[0.0, 0.0, 64.0, 64.0]]).expand(64, 4)
    result = assign(scores, same, CENTERS, STRIDES, same[:1], torch.tensor([0]))
    assert int(result.scores.argmax()) == 27


def test_each_object_gets_locations_however_small() -> None:
    truth = torch.tensor([[7.5, 7.5, 8.5, 8.5], [40.2, 40.2, 40.9, 40.9]])
    result = assign(torch.full((64, 1), 0.01), boxes_around(8), CENTERS, STRIDES, truth, torch.tensor([0, 0]))
    assert set(result.objects.tolist()) == {-1, 0, 1}


def test_location_of_two_objects_learns_the_one_it_overlaps_most() -> None:
    truth = torch.tensor([[0.0, 0.0, 64.0, 64.0], [24.0, 24.0, 40.0, 40.0]])
    result = assign(torch.full((64, 1), 0.5), boxes_around(8), CENTERS, STRIDES, truth, torch.tensor([0, 0]))
    assert result.objects[27] == 1


def test_image_without_objects_has_no_positive() -> None:
    result = assign(
        torch.rand(64, 2), boxes_around(8), CENTERS, STRIDES, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    )
    assert set(result.objects.tolist()) == {-1}
    assert result.scores.sum() == 0


def test_loss_is_lowest_at_the_target() -> None:
    logits = torch.linspace(-4, 4, 81)[:, None]
    losses = torch.stack([varifocal_loss(logit[None], torch.tensor([[0.7]])) for logit in logits])
    assert abs(float(logits[losses.argmin()].sigmoid()) - 0.7) < 0.03
    confident, unsure = (varifocal_loss(torch.tensor([[logit]]), torch.zeros(1, 1)) for logit in (3.0, -3.0))
    assert confident > 100 * unsure, "confident mistakes weigh most"


def test_box_loss_is_zero_for_equal_boxes_and_grows_with_their_weight() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    assert float(box_loss(boxes, boxes, torch.ones(1))) < 1e-4
    one, two = (float(box_loss(boxes, boxes + 5, torch.tensor([weight]))) for weight in (1.0, 2.0))
    assert two == 2 * one > 0
