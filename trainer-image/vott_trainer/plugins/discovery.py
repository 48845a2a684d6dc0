"""Find plugins (built in, installed, mounted), load one, and say why it can't be loaded."""

import ast
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from vott_trainer.errors import BrokenPluginError
from vott_trainer.plugin_api import Learner, Plugin

GROUP = "vott_trainer.plugins"
MODULE = "plugin.py"
CLASS = "Plugin"
PACKAGE = "vott_trainer"
LEARNER_METHODS = ("data", "model", "batch", "loss", "evaluate", "export")  # instead of `train`


@dataclass(frozen=True)
class Source:
    """A plugin that can be loaded; `location` is its module or file, for messages."""

    name: str
    location: str
    create: Callable[[], Any]

    def load(self) -> Plugin | Learner:
        """Import and instantiate the plugin.

        Raises:
            BrokenPluginError: it can't be loaded; says why, with file and line.
        """
        try:
            plugin = self.create()
        except BrokenPluginError:
            raise
        except (Exception, SystemExit) as error:
            raise self._broken(f"{type(error).__name__}: {_message(error)}{_place(error)}") from error
        if missing := _missing(plugin):
            raise self._broken(f"it has no {missing}")
        return plugin  # type: ignore[no-any-return]

    def _broken(self, why: str) -> BrokenPluginError:
        return BrokenPluginError(f"The plugin {self.name!r} ({self.location}) can't be loaded: {why}. Fix the plugin.")


def ambiguous(sources: Sequence[Source]) -> BrokenPluginError:
    """Build the error for several plugins with the same name."""
    locations = " and ".join(source.location for source in sources)
    return BrokenPluginError(f"There are several plugins called {sources[0].name!r}: {locations}. Rename all but one.")


def packaged(targets: Mapping[str, str]) -> Iterator[Source]:
    """Yield the built-in plugins; `targets` are `module:Class` by name."""
    return (_from_entry_point(EntryPoint(name, target, GROUP)) for name, target in targets.items())


def installed() -> Iterator[Source]:
    """Yield the plugins that installed packages declare as entry points."""
    return (_from_entry_point(point) for point in entry_points(group=GROUP))


def _from_entry_point(point: EntryPoint) -> Source:
    return Source(point.name, point.value, lambda: point.load()())  # noqa: PLW0108 - imported on demand


def mounted(folder: Path) -> Iterator[Source]:
    """Yield the plugins in a folder: `NAME/plugin.py`, or `NAME.py`, as a ConfigMap holds it."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("[!.]*")):
        if (path / MODULE).is_file():
            yield _from_file(path.name, path / MODULE)
        elif path.suffix == ".py" and path.is_file():
            yield _from_file(path.stem, path)


def _from_file(name: str, path: Path) -> Source:
    return Source(name, str(path), lambda: _from_module(name, path))


def _from_module(name: str, path: Path) -> Any:
    """Import the file if it defines `Plugin`; any other file is a script, which must not be imported."""
    module = ast.parse(path.read_bytes(), str(path))
    if CLASS in _defined_names(module):
        return getattr(_import(name, path), CLASS)()
    if any(map(_imports_trainer, ast.walk(module))):
        raise BrokenPluginError(
            f"The plugin {name!r} ({path}) uses vott_trainer, but its top level defines no {CLASS}. Call its class {CLASS} "
            "(docs/plugins.md#how-a-plugin-gets-into-the-trainer)."
        )
    from vott_trainer.plugins.script import Script

    return Script(path)


def _defined_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a module's top level defines, including within `if`, `try` and `with`."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias(name=name, asname=alias):
                yield alias or name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case _:
                yield from _defined_names(child)


def _imports_trainer(node: ast.AST) -> bool:
    """Whether a statement imports this package, as only plugins do."""
    match node:
        case ast.ImportFrom(module=str(module), level=0):
            modules = [module]
        case ast.Import(names=names):
            modules = [alias.name for alias in names]
        case _:
            modules = []
    return any(module.partition(".")[0] == PACKAGE for module in modules)


def _import(name: str, path: Path) -> ModuleType:
    """Import a file so that it can import the modules beside it."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(f"vott_plugin_{name.replace('-', '_').replace('.', '_')}", path)
    assert spec is not None  # a .py file has a spec
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pydantic look up their module
    spec.loader.exec_module(module)
    return module


def _missing(plugin: Any) -> str:
    """Name what the plugin lacks; empty if nothing."""
    parameters = getattr(plugin, "parameters", None)
    if not (isinstance(parameters, type) and issubclass(parameters, BaseModel)):
        return "`parameters`, a class derived from vott_trainer.plugin_api.Parameters"

    def lacks(names: Sequence[str]) -> list[str]:
        return [f"`{name}`" for name in names if not callable(getattr(plugin, name, None))]

    is_learner = lacks(["train"]) and len(lacks(LEARNER_METHODS)) < len(LEARNER_METHODS)
    return ", ".join(lacks([*(LEARNER_METHODS if is_learner else ["train"]), "predict"]))


def _message(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)  # str() of a SyntaxError includes the line


def _place(error: BaseException) -> str:
    """Name the file and line that raised the error; empty if it was the import itself. importlib's own frames are skipped."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    relevant = [frame for frame in frames if "importlib" not in frame.filename]
    return f" ({relevant[-1].filename}, line {relevant[-1].lineno})" if relevant else ""
