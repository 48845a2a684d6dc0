"""Metadata of an ONNX file: text by key, which every ONNX runtime can read."""

import json
from pathlib import Path
from typing import Any

import onnx

from vott_trainer.atomic_write import atomic_write


def add_metadata(file: Path, **entries: Any) -> None:
    """Add entries as JSON to an ONNX file's metadata; a key that the file has keeps its value.

    Raises:
        OSError: the file can't be read or written.
        google.protobuf.message.DecodeError: it is no ONNX file.
    """
    model = onnx.load(file)
    present = {entry.key: entry.value for entry in model.metadata_props}
    added = {key: json.dumps(value, ensure_ascii=False) for key, value in entries.items()}
    onnx.helper.set_model_props(model, added | present)
    with atomic_write(file) as opened:
        opened.write(model.SerializeToString())
