"""The plugins by name. Only the chosen one is imported: `hello-world` must not wait for torch."""

from importlib.metadata import EntryPoint, entry_points

from vott_trainer.errors import UnknownPluginError
from vott_trainer.plugins.base import Plugin

GROUP = "vott_trainer.plugins"

BUILT_IN = {
    "detection": "vott_trainer.plugins.detection:Detection",
    "hello-world": "vott_trainer.plugins.hello_world:HelloWorld",
}


def load(name: str) -> Plugin:
    """Import and make the plugin `name`: a built-in one, or one that an installed package declares as an entry point.

    Raises:
        UnknownPluginError: there is none of this name; lists those that exist.
    """
    found = _found()
    if name not in found:
        raise UnknownPluginError(f"There is no plugin {name!r}. Known plugins: {', '.join(sorted(found))}.")
    plugin: Plugin = found[name].load()()
    return plugin


def _found() -> dict[str, EntryPoint]:
    installed = {point.name: point for point in entry_points(group=GROUP)}
    return installed | {name: EntryPoint(name, target, GROUP) for name, target in BUILT_IN.items()}
