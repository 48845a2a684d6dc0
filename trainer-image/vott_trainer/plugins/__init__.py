"""Load a plugin by name: a built-in one, an installed package's, or one that the administrator mounted.

Only the chosen plugin is imported: `hello-world` must not wait for torch.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from vott_trainer.errors import UnknownPluginError
from vott_trainer.plugin_api import Learner, Plugin
from vott_trainer.plugins.discovery import Source, ambiguous, installed, mounted, packaged

BUILT_IN = {
    "classification": "vott_trainer.plugins.classification:Classification",
    "detection": "vott_trainer.plugins.detection:Detection",
    "hello-world": "vott_trainer.plugins.hello_world:HelloWorld",
    "segmentation": "vott_trainer.plugins.segmentation:Segmentation",
}
FOLDER = Path("/plugins")


def load(name: str, environment: Mapping[str, str] = os.environ) -> Plugin | Learner:
    """Import and instantiate the plugin `name`.

    Args:
        environment: VOTT_PLUGINS names the folder of mounted plugins; default: /plugins.

    Raises:
        UnknownPluginError: there is no such plugin; lists the existing ones.
        BrokenPluginError: it can't be imported or is not a plugin, or several have this name.
    """
    sources = _sources(Path(environment.get("VOTT_PLUGINS") or FOLDER))
    if name not in sources:
        raise UnknownPluginError(f"There is no plugin {name!r}. Known plugins: {', '.join(sorted(sources))}.")
    if len(sources[name]) > 1:
        raise ambiguous(sources[name])
    return sources[name][0].load()


def _sources(folder: Path) -> dict[str, list[Source]]:
    sources: dict[str, list[Source]] = {}
    for source in [*packaged(BUILT_IN), *installed(), *mounted(folder)]:
        sources.setdefault(source.name, []).append(source)
    return sources
