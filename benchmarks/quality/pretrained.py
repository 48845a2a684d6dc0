"""The pretrained weights that the trainer image contains, in a folder of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import click

from localcluster.build_cache import build_once, content_key
from localcluster.paths import CHECKOUT

NAMES: tuple[str, ...] = ()
_BAKE = CHECKOUT / "trainer-image" / "bake_weights.py"


def pretrained_weights() -> Path | None:
    """Return the folder that $VOTT_WEIGHTS names, else one with the weights of the architectures NAMES, baked once.

    Raises:
        click.ClickException: they could not be baked.
    """
    if configured := os.environ.get("VOTT_WEIGHTS"):
        return Path(configured).expanduser().resolve()
    if not NAMES:
        return None
    with build_once("weights", content_key(*NAMES, _BAKE.read_bytes())) as build:
        if build.is_needed:
            click.echo(f"Baking the pretrained weights of {', '.join(NAMES)}")
            command = [sys.executable, str(_BAKE), str(build.folder), *NAMES]
            if subprocess.run(command, check=False).returncode:
                raise click.ClickException("The pretrained weights could not be baked; see above.")
    return build.folder
