"""Plugins are found by name; loading errors name the cause and the file."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from vott_trainer import plugins
from vott_trainer.errors import BrokenPluginError, UnknownPluginError
from vott_trainer.plugin_api import Parameters
from vott_trainer.plugins.hello_world import HelloWorld
from vott_trainer.plugins.script import Script

PLUGIN = """
from pathlib import Path
from vott_trainer.plugin_api import Parameters, Prediction, Run, Trained
from {helper} import ANSWER

class Plugin:
    parameters = Parameters
    def train(self, run: Run, parameters: Parameters) -> Trained:
        return Trained({{"answer": ANSWER}})
    def predict(self, model_dir: Path, image: Path) -> list[Prediction]:
        return []
"""
SCRIPT = "import argparse\nraise SystemExit('this file must not be imported')\n"


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """Environment variables of a trainer with `tmp_path` as its plugins folder."""
    return {"VOTT_PLUGINS": str(tmp_path)}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def loading_error(name: str, environment: Mapping[str, str]) -> str:
    with pytest.raises(BrokenPluginError) as error:
        plugins.load(name, environment)
    return str(error.value)


@pytest.mark.parametrize("name", plugins.BUILT_IN)
def test_every_built_in_plugin_loads(name: str, environment: Mapping[str, str]) -> None:
    assert issubclass(plugins.load(name, environment).parameters, Parameters)


def test_unknown_name_lists_the_known_plugins(environment: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path / "old/plugin.py", SCRIPT)
    with pytest.raises(
        UnknownPluginError, match=r"no plugin 'yolo'.*classification, detection, hello-world, old, segmentation"
    ):
        plugins.load("yolo", environment)


def test_missing_folder_is_no_error(tmp_path: Path) -> None:
    assert isinstance(plugins.load("hello-world", {"VOTT_PLUGINS": str(tmp_path / "nowhere")}), HelloWorld)


def test_file_that_defines_plugin_is_imported_with_the_modules_beside_it(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "mine/plugin.py", PLUGIN.format(helper="helper_of_mine"))
    write(tmp_path / "mine/helper_of_mine.py", "ANSWER = 42.0\n")
    plugin = plugins.load("mine", environment)
    assert plugin.train(None, None).metrics == {"answer": 42.0}  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    "definition",
    [
        "Plugin = Mine",
        "Plugin: type = Mine",
        "if True:\n    Plugin = Mine",
        "try:\n    class Plugin(Mine): ...\n    Plugin.__name__ = 'Mine'\nexcept ImportError: ...",
        "from mine_elsewhere import Mine as Plugin",
    ],
)
def test_plugin_may_be_an_alias_of_the_class(definition: str, environment: Mapping[str, str], tmp_path: Path) -> None:
    body = PLUGIN.format(helper="math").replace("ANSWER", "pi").replace("class Plugin", "class Mine")
    write(tmp_path / "renamed/mine_elsewhere.py", body)
    write(tmp_path / "renamed/plugin.py", f"{body if 'elsewhere' not in definition else ''}\n{definition}\n")
    assert type(plugins.load("renamed", environment)).__name__ == "Mine"


@pytest.mark.parametrize("path", ["old/plugin.py", "old.py"])
def test_any_other_file_is_a_script_and_is_not_imported(
    path: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path / path, SCRIPT)
    assert isinstance(plugins.load("old", environment), Script)


@pytest.mark.parametrize("line", ["from vott_trainer.plugin_api import Run", "import vott_trainer.errors as errors"])
def test_file_that_imports_the_trainer_is_not_run_as_a_script(
    line: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.py", f"{line}\nclass MyPlugin: ...\ndef make():\n    Plugin = MyPlugin\n")
    message = loading_error("mine", environment)
    assert f"({path}) uses vott_trainer, but its top level defines no Plugin. Call its class Plugin" in message


def test_hidden_folders_of_a_mounted_configmap_are_no_plugins(environment: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path / "..2026_01_01/old.py", SCRIPT)
    (tmp_path / "..data").symlink_to(tmp_path / "..2026_01_01")
    (tmp_path / "old.py").symlink_to(tmp_path / "..data/old.py")
    write(tmp_path / "..data/plugin.py", SCRIPT)
    with pytest.raises(UnknownPluginError, match=r"hello-world, old, segmentation\.$"):
        plugins.load("?", environment)


def test_name_can_t_lead_out_of_the_folder(environment: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path.parent / "outside/plugin.py", SCRIPT)
    with pytest.raises(UnknownPluginError):
        plugins.load("../outside", environment)


def test_import_error_names_file_and_line(environment: Mapping[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "mine/plugin.py", "import math\nimport a_module_that_is_not_there\nclass Plugin: ...\n")
    message = loading_error("mine", environment)
    assert "ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in message
    assert f"({path}, line 2)" in message


def test_import_error_in_another_module_names_that_file(environment: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path / "mine/plugin.py", "from deeper_module import thing as Plugin\n")
    path = write(tmp_path / "mine/deeper_module.py", "\n\nthing = 1 / 0\n")
    assert f"ZeroDivisionError: division by zero ({path}, line 3)" in loading_error("mine", environment)


def test_syntax_error_names_file_and_line(environment: Mapping[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "mine/plugin.py", "import math\ndef train(:\n")
    message = loading_error("mine", environment)
    assert re.search(rf"SyntaxError: .*\({re.escape(str(path))}, line 2\)", message)
    assert message.count("line 2") == 1


def test_plugin_that_exits_on_import_is_broken(environment: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path / "mine/plugin.py", "class Plugin: ...\nraise SystemExit(3)\n")
    assert "SystemExit: 3" in loading_error("mine", environment)


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("pass", "`parameters`"),
        ("parameters = int", "`parameters`"),
        ("from vott_trainer.plugin_api import Parameters as parameters", "`train`, `predict`"),
        ("from vott_trainer.plugin_api import Parameters as parameters\n    def train(self): ...", "`predict`"),
        (
            "from vott_trainer.plugin_api import Parameters as parameters\n    def loss(self): ...",
            "`data`, `model`, `batch`, `evaluate`, `export`, `predict`",
        ),
    ],
)
def test_error_names_what_a_class_lacks(
    body: str, missing: str, environment: Mapping[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "mine/plugin.py", f"class Plugin:\n    {body}\n")
    assert f"it has no {missing}" in loading_error("mine", environment)


def test_two_plugins_with_the_same_name_are_refused_when_chosen(environment: Mapping[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "hello-world/plugin.py", SCRIPT)
    message = loading_error("hello-world", environment)
    assert "vott_trainer.plugins.hello_world:HelloWorld" in message
    assert str(path) in message
    assert plugins.load("detection", environment)


def test_installed_package_provides_plugins(
    environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    write(packages / "of_a_package.py", PLUGIN.format(helper="math").replace("ANSWER", "pi"))
    write(packages / "of_a_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: of-a-package\nVersion: 1.0\n")
    write(
        packages / "of_a_package-1.0.dist-info/entry_points.txt",
        "[vott_trainer.plugins]\ninstalled = of_a_package:Plugin\ngone = of_a_package:Gone\n",
    )
    monkeypatch.syspath_prepend(packages)
    assert type(plugins.load("installed", environment)).__module__ == "of_a_package"
    assert "has no attribute 'Gone'" in loading_error("gone", environment)
