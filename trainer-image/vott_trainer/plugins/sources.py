"""Where plugins come from, and what is wrong with one that can't be loaded."""

import ast
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from vott_trainer.errors import BrokenPluginError
from vott_trainer.plugin_api import Plugin

if TYPE_CHECKING:  # it imports torch
    from vott_trainer.plugin_api import Learner

GROUP = "vott_trainer.plugins"
MODULE = "plugin.py"
CLASS = "Plugin"
PACKAGE = "vott_trainer"
LEARNS_WITH = ("data", "model", "batch", "loss", "evaluate", "export")  # what a Learner has instead of `train`


@dataclass(frozen=True)
class Source:
    """One plugin that could be loaded; `where` is for messages: a module or a file."""

    name: str
    where: str
    make: Callable[[], Any]

    def load(self) -> "Plugin | Learner":
        """Import and make the plugin.

        Raises:
            BrokenPluginError: it can't be; says why, with file and line.
        """
        try:
            plugin = self.make()
        except BrokenPluginError:
            raise
        except (Exception, SystemExit) as error:
            raise self._broken(f"{type(error).__name__}: {_said(error)}{_place(error)}") from error
        if missing := _missing(plugin):
            raise self._broken(f"it has no {missing}")
        return plugin  # type: ignore[no-any-return]

    def _broken(self, why: str) -> BrokenPluginError:
        return BrokenPluginError(f"The plugin {self.name!r} ({self.where}) can't be loaded: {why}. Mend the plugin.")


def ambiguous(sources: Sequence[Source]) -> BrokenPluginError:
    """Return the error that says that there are several plugins of a name."""
    places = " and ".join(source.where for source in sources)
    return BrokenPluginError(f"There are several plugins called {sources[0].name!r}: {places}. Rename all but one.")


def packaged(targets: Mapping[str, str]) -> Iterator[Source]:
    """Yield the plugins of this package, given as `module:Class` by name."""
    return (_from_entry_point(EntryPoint(name, target, GROUP)) for name, target in targets.items())


def installed() -> Iterator[Source]:
    """Yield the plugins that installed packages declare as entry points."""
    return (_from_entry_point(point) for point in entry_points(group=GROUP))


def _from_entry_point(point: EntryPoint) -> Source:
    return Source(point.name, point.value, lambda: point.load()())  # noqa: PLW0108 - not imported before


def mounted(folder: Path) -> Iterator[Source]:
    """Yield the plugins in a folder: `NAME/plugin.py`, or `NAME.py`, which is what a ConfigMap can hold."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("[!.]*")):
        if (path / MODULE).is_file():
            yield _from_file(path.name, path / MODULE)
        elif path.suffix == ".py" and path.is_file():
            yield _from_file(path.stem, path)


def _from_file(name: str, path: Path) -> Source:
    return Source(name, str(path), lambda: _make(name, path))


def _make(name: str, path: Path) -> Any:
    """A file that defines `Plugin` is imported; any other is a script, which must not be."""
    module = ast.parse(path.read_bytes(), str(path))
    if CLASS in _names(module):
        return getattr(_import(name, path), CLASS)()
    if any(map(_is_of_trainer, ast.walk(module))):
        raise BrokenPluginError(
            f"The plugin {name!r} ({path}) uses vott_trainer, but its top level defines no {CLASS}. Call its class {CLASS} "
            "(docs/plugins.md#how-a-plugin-gets-into-the-trainer)."
        )
    from vott_trainer.plugins.script import Script

    return Script(path)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a module's top level makes, also within `if`, `try` and `with`."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias(name=name, asname=alias):
                yield alias or name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case _:
                yield from _names(child)


def _is_of_trainer(node: ast.AST) -> bool:
    """Whether a statement imports from this package, as only a plugin does."""
    match node:
        case ast.ImportFrom(module=str(module), level=0):
            modules = [module]
        case ast.Import(names=names):
            modules = [alias.name for alias in names]
        case _:
            modules = []
    return any(module.partition(".")[0] == PACKAGE for module in modules)


def _import(name: str, path: Path) -> ModuleType:
    """Import a file as Python does with a program: modules that lie beside it are found."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(f"vott_plugin_{name.replace('-', '_').replace('.', '_')}", path)
    assert spec is not None  # a .py file has one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pydantic look their module up
    spec.loader.exec_module(module)
    return module


def _missing(plugin: Any) -> str:
    """Return what it takes to be a plugin and is not there, as words; empty if nothing."""
    parameters = getattr(plugin, "parameters", None)
    if not (isinstance(parameters, type) and issubclass(parameters, BaseModel)):
        return "`parameters`, a class derived from vott_trainer.plugin_api.Parameters"

    def lacks(names: Sequence[str]) -> list[str]:
        return [f"`{name}`" for name in names if not callable(getattr(plugin, name, None))]

    learns = len(lacks(LEARNS_WITH)) < len(LEARNS_WITH)
    return ", ".join(lacks([*(LEARNS_WITH if learns and lacks(["train"]) else ["train"]), "predict"]))


def _said(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)  # whose text names the place, too


def _place(error: BaseException) -> str:
    """Return the file and line that an import failed at, empty where only the import itself did; importlib's own lines tell nothing."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    told = [frame for frame in frames if "importlib" not in frame.filename]
    return f" ({told[-1].filename}, line {told[-1].lineno})" if told else ""
