"""Fingerprint of a training's work: a checkpoint of another trainer version, plugin, data or parameters is never resumed."""

import hashlib
import json
from dataclasses import astuple
from typing import Any

from vott_guard.redaction import redact_url
from vott_trainer.parameters import shown
from vott_trainer.plugin_api import Learner, LearningParameters, Run
from vott_trainer.version import VERSION


def fingerprint(plugin: Learner, run: Run, parameters: LearningParameters) -> str:
    """Return a digest of everything that decides the result."""
    work: dict[str, Any] = {
        "trainer": VERSION,
        "plugin": f"{type(plugin).__module__}.{type(plugin).__qualname__}",
        "parameters": shown(parameters),
        "images": [
            (redact_url(image.url), image.label, [astuple(box) for box in image.boxes])
            for image in run.dataset().images
        ],
        "processes": run.ranks.world_size,
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
