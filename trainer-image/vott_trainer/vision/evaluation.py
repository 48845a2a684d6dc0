"""Average precision on held-out images, as COCO defines it (https://cocodataset.org/#detection-eval)."""

from collections.abc import Iterable, Sequence

import torch
from faster_coco_eval import COCO, COCOeval_faster
from torch import Tensor, nn

from vott_trainer.vision.samples import Sample

Detections = dict[str, Tensor]  # boxes [N, 4] as x1, y1, x2, y2; labels [N] from 1; scores [N]


def evaluate(
    model: nn.Module, samples: Iterable[Sample], labels: Sequence[str], device: torch.device
) -> dict[str, float]:
    """Return `mAP` (mean over IoU 0.50 to 0.95) and `mAP50` (IoU 0.50), each 0 to 1."""
    seen = list(samples)
    found = [detect(model, sample.pixels, device) for sample in seen]
    truth = _coco(seen, labels)
    results = [result for image, detections in enumerate(found, start=1) for result in _results(image, detections)]
    if not results:
        return {"mAP": 0.0, "mAP50": 0.0}
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox", print_function=_silent)
    evaluation.run()
    return {"mAP": max(0.0, float(evaluation.stats[0])), "mAP50": max(0.0, float(evaluation.stats[1]))}


@torch.inference_mode()
def detect(model: nn.Module, pixels: Tensor, device: torch.device) -> Detections:
    """Return what the model sees on one uint8 image [3, H, W], on the CPU."""
    model.eval()
    (detections,) = model([pixels.to(device).float() / 255])
    return {name: values.float().cpu() if name != "labels" else values.cpu() for name, values in detections.items()}


def _coco(samples: Sequence[Sample], labels: Sequence[str]) -> COCO:
    boxes = [
        (image, box, label)
        for image, s in enumerate(samples, start=1)
        for box, label in zip(_xywh(s.boxes), s.labels.tolist(), strict=True)
    ]
    return COCO(
        {
            "images": [
                {"id": i, "width": s.pixels.shape[2], "height": s.pixels.shape[1]}
                for i, s in enumerate(samples, start=1)
            ],
            "categories": [{"id": number, "name": label} for number, label in enumerate(labels, start=1)],
            "annotations": [
                {
                    "id": number,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
                for number, (image, box, label) in enumerate(boxes, start=1)
            ],
        }
    )


def _results(image: int, detections: Detections) -> list[dict[str, object]]:
    rows = zip(_xywh(detections["boxes"]), detections["labels"].tolist(), detections["scores"].tolist(), strict=True)
    return [{"image_id": image, "category_id": label, "bbox": box, "score": score} for box, label, score in rows]


def _xywh(boxes: Tensor) -> list[list[float]]:
    corners: list[list[float]] = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), dim=1).tolist()
    return corners


def _silent(*_args: object, **_options: object) -> None:
    """COCOeval prints its table; the log has its own line."""
