"""docs/plugins.md: its examples run, and its tables match the code."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.annotated_images import one_shape, serve_annotated, serve_classified
from tests.support.http_server import HttpServer
from vott_trainer import plugins
from vott_trainer.learning import learn
from vott_trainer.parameters import names, validate
from vott_trainer.plugin_api import DataParameters, LearningParameters, Links
from vott_trainer.plugins import sandbox
from vott_trainer.plugins.script_environment import PASSED_VARIABLES, TRAINER_PREFIXES
from vott_trainer.progress.progress import Progress
from vott_trainer.training_run import TrainingRun
from vott_trainer.vision.architectures import Architecture
from vott_trainer.vision.classifiers import CLASSIFIERS
from vott_trainer.vision.detectors import DETECTORS
from vott_trainer.vision.segmenters import SEGMENTERS

PAGE = (Path(__file__).parents[3] / "docs/plugins.md").read_text(encoding="utf-8")
COMMON = "Common parameters"
LEARNER, OWN_LOOP = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(ENTRY_POINT,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(PACKAGED,) = (block for block in re.findall(r"```dockerfile\n(.*?)```", PAGE, re.DOTALL) if ".whl" in block)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table(title: str) -> set[str]:
    """Return the names in a section's table of parameters."""
    rows = section(title).partition("| parameter |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE))


def test_variables_and_folders_of_the_sandbox_are_on_the_page() -> None:
    text = PAGE.partition("\n### What a script may do\n")[2].partition("\n## ")[0]
    names = (
        *TRAINER_PREFIXES,
        *PASSED_VARIABLES,
        *map(str, sandbox.CREDENTIAL_FOLDERS),
        sandbox.OPT_OUT_VARIABLE,
        "VOTT_PARAMETERS",
        "BrokenPlugin",
    )
    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize("name", plugins.BUILT_IN)
def test_page_lists_every_parameter_and_no_other(name: str) -> None:
    model = plugins.load(name).parameters
    shared = set(names(DataParameters)) | (table(COMMON) if issubclass(model, LearningParameters) else set())
    shared |= table("detection") if name == "segmentation" else set()
    assert table(name) | shared == set(names(model))
    assert all(field.description for field in model.model_fields.values())


def test_page_lists_the_common_parameters_with_their_defaults() -> None:
    assert table(COMMON) | set(names(DataParameters)) == set(names(LearningParameters))
    assert all(f"`{name}`" in section(COMMON) for name in names(DataParameters))
    defaults = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section(COMMON), re.MULTILINE))
    actual = LearningParameters().model_dump(by_alias=True)
    assert {name: float(value) for name, value in defaults.items()} == {name: actual[name] for name in defaults}


@pytest.mark.parametrize(
    ("title", "known"), [("detection", DETECTORS), ("segmentation", SEGMENTERS), ("classification", CLASSIFIERS)]
)
def test_page_lists_every_architecture_with_its_defaults(title: str, known: dict[str, Architecture]) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", section(title).partition("| architecture |")[2], re.MULTILINE))
    assert rows.keys() == known.keys()
    for name, row in rows.items():
        cells = row.split(" | ")
        assert float(cells[0 if title == "classification" else 1]) == known[name].learning_rate
        assert title == "classification" or int(cells[0]) == known[name].image_size


def test_first_example_is_a_classifier_in_about_60_lines(server: HttpServer, tmp_path: Path) -> None:
    """Mount it as the page says, train it, and predict a new image."""
    assert len([line for line in LEARNER.splitlines() if line.strip()]) <= 65
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/small.py").write_text(LEARNER)
    plugin: Any = plugins.load("small", {"VOTT_PLUGINS": str(tmp_path / "plugins")})
    parameters = validate(plugin.parameters, {"imageSize": 48, "epochs": 30, "learningRate": 0.005})
    run = TrainingRun(
        Links(serve_classified(server, 60), "", None), tmp_path / "work", Progress(), parameters=parameters
    )
    trained = learn(plugin, run, parameters)  # type: ignore[arg-type]
    assert trained.metrics["accuracy"] > 0.7
    (run.model_dir / "config.json").write_text(json.dumps(trained.config))
    content, _ = one_shape(1000)
    (tmp_path / "image.png").write_bytes(content)
    predictions = plugin.predict(run.model_dir, tmp_path / "image.png")
    assert {prediction.label for prediction in predictions} == {"circle", "square", "triangle"}
    assert predictions[0].score == max(prediction.score for prediction in predictions)


def test_second_example_trains(server: HttpServer, tmp_path: Path) -> None:
    """Mount it as the page says, as a folder in an image."""
    (tmp_path / "plugins/mean-colour").mkdir(parents=True)
    (tmp_path / "plugins/mean-colour/plugin.py").write_text(OWN_LOOP)
    plugin: Any = plugins.load("mean-colour", {"VOTT_PLUGINS": str(tmp_path / "plugins")})
    run = TrainingRun(Links(serve_annotated(server, 3), "", None), tmp_path, Progress())
    trained = plugin.train(run, plugin.parameters(epochs=2))
    assert 100 < trained.metrics["brightness"] < 200
    assert (tmp_path / "model/colour.json").exists()


def test_package_is_found_where_the_page_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (install,) = re.findall(r"^RUN pip (install .*)$", PACKAGED, re.MULTILINE)
    wheel(tmp_path, Path(install.split()[-1]).name)
    arguments = install.replace("/tmp/", f"{tmp_path}/").replace(" /out ", f" {tmp_path}/out ")
    subprocess.run([sys.executable, "-m", "pip", "--isolated", *arguments.split(), "--no-index"], check=True)
    monkeypatch.syspath_prepend(tmp_path / "out")
    plugin = plugins.load("mean-colour", {"VOTT_PLUGINS": str(tmp_path)})
    del sys.modules["my_package"]
    assert type(plugin).__module__ == "my_package"


def test_dockerfile_runs_nothing_in_the_trainer_s_image() -> None:
    final_stage = PACKAGED.partition("FROM vott-train/trainer\n")[2]
    assert "COPY --from=build /out /opt/venv/lib/python3.11/site-packages" in final_stage
    assert "RUN" not in final_stage


def wheel(folder: Path, name: str) -> None:
    """Write a wheel of the second example with the page's entry point, as a build tool would."""
    package, version, _ = name.split("-", 2)
    info = f"{package}-{version}.dist-info"
    files = {
        "my_package.py": OWN_LOOP,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points(),
    }
    with zipfile.ZipFile(folder / name, "w") as file:
        for path, content in files.items():
            file.writestr(path, content)
        file.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


def entry_points() -> str:
    """Convert the page's pyproject.toml table to the format in a wheel."""
    ((group, points),) = tomllib.loads(ENTRY_POINT)["project"]["entry-points"].items()
    return f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
