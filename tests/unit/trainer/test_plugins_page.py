"""docs/plugins.md says what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.unit.trainer.conftest import annotated
from tests.unit.trainer.http_server import HttpServer
from vott_trainer import plugins
from vott_trainer.parameters import names
from vott_trainer.progress import Progress
from vott_trainer.training import TrainingRun
from vott_trainer.vision.architectures import ARCHITECTURES

PAGE = (Path(__file__).parents[3] / "docs/plugins.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", plugins.BUILT_IN)
def test_every_parameter_is_on_the_page_and_no_other(name: str) -> None:
    table = section(name).partition("| parameter |")[2].partition("\n\n")[0]
    model: type[BaseModel] = plugins.load(name).parameters
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == names(model)
    assert all(field.description for field in model.model_fields.values())


def test_every_architecture_is_on_the_page() -> None:
    assert [name for name in ARCHITECTURES if f"`{name}`" not in section("detection")] == []


def test_the_pages_own_plugin_trains(server: HttpServer, tmp_path: Path) -> None:
    code, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    plugin = namespace["MeanColour"]()
    trained = plugin.train(TrainingRun(annotated(server, 3), tmp_path, Progress()), plugin.parameters(epochs=2))
    assert 100 < trained.metrics["brightness"] < 200
    assert (tmp_path / "model/colour.json").exists()
