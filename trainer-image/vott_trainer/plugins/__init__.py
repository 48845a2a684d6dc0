"""The plugins by name: ours, those of installed packages, and those that an administrator mounted.

Only the chosen one is imported: `hello-world` must not wait for torch.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vott_trainer.errors import UnknownPluginError
from vott_trainer.plugin_api import Plugin
from vott_trainer.plugins.sources import Source, ambiguous, installed, mounted, packaged

if TYPE_CHECKING:  # it imports torch
    from vott_trainer.plugin_api import Learner

BUILT_IN = {
    "classification": "vott_trainer.plugins.classification:Classification",
    "detection": "vott_trainer.plugins.detection:Detection",
    "hello-world": "vott_trainer.plugins.hello_world:HelloWorld",
}
FOLDER = Path("/plugins")


def load(name: str, environment: Mapping[str, str] = os.environ) -> "Plugin | Learner":
    """Import and make the plugin `name`.

    Args:
        environment: VOTT_PLUGINS names the folder of the mounted plugins, where it is not /plugins.

    Raises:
        UnknownPluginError: there is none of this name; lists those that exist.
        BrokenPluginError: it can't be imported or is no plugin, or there are several of this name.
    """
    known = _known(Path(environment.get("VOTT_PLUGINS") or FOLDER))
    if name not in known:
        raise UnknownPluginError(f"There is no plugin {name!r}. Known plugins: {', '.join(sorted(known))}.")
    if len(known[name]) > 1:
        raise ambiguous(known[name])
    return known[name][0].load()


def _known(folder: Path) -> dict[str, list[Source]]:
    known: dict[str, list[Source]] = {}
    for source in [*packaged(BUILT_IN), *installed(), *mounted(folder)]:
        known.setdefault(source.name, []).append(source)
    return known
