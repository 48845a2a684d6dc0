"""The operator and trainer images: built from their Dockerfiles, tagged by content, loaded into containerd."""

from dataclasses import dataclass
from pathlib import Path

from localcluster import containerd
from localcluster.base_image import base_reference, ensure_base_image
from localcluster.build_cache import content_key, files_key
from localcluster.buildah import Buildah
from localcluster.dockerignore import DockerIgnore
from localcluster.errors import LocalClusterError
from localcluster.file_lock import locked
from localcluster.image_transfer import StoredImage, load_into_containerd
from localcluster.paths import CHECKOUT, cache_folder
from localcluster.progress import step

_REPOSITORY = "localhost/vott-train"


@dataclass(frozen=True)
class Recipe:
    """An image's Dockerfile, and the parts of the checkout (its context) that it uses."""

    name: str
    dockerfile: Path
    parts: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    def reference(self, base: str) -> str:
        """The image's name; its tag is a hash of all inputs."""
        if not self.dockerfile.exists():
            raise LocalClusterError(f"{self.dockerfile} is missing; is this a complete checkout?")
        parts = [CHECKOUT / part for part in self.parts]
        files = [path for path in DockerIgnore(CHECKOUT).files() if any(map(path.is_relative_to, parts))]
        key = content_key(base, *self.arguments, self.dockerfile.read_bytes(), files_key(files, CHECKOUT))
        return f"{_REPOSITORY}/{self.name}:{key}"


OPERATOR = Recipe(
    "operator",
    CHECKOUT / "operator" / "Dockerfile",
    ("operator", "messaging", "guard", "sbom", "requirements", "pyproject.toml", "README.md"),
)
BAKED_WEIGHTS = "mobilenet_v3_small"
TRAINER = Recipe(
    "trainer",
    CHECKOUT / "trainer-image" / "Dockerfile",
    ("trainer-image", "messaging", "guard", "sbom"),
    (f"WEIGHTS={BAKED_WEIGHTS}@untrained",),
)
"""Has untrained weights, which no training uses by default. Trained ones would be downloaded from outside the package registries."""


def image_references() -> dict[str, str]:
    """The images' names for this checkout's content, built or not.

    Raises:
        LocalClusterError: A Dockerfile is missing.
    """
    return {recipe.name: recipe.reference(base_reference()) for recipe in (OPERATOR, TRAINER)}


def build_images(recipes: tuple[Recipe, ...] = (OPERATOR, TRAINER)) -> dict[str, str]:
    """Build missing images, and return the references by name.

    Raises:
        LocalClusterError: A Dockerfile is missing, or a build failed.
    """
    with locked(cache_folder() / "locks" / "images.lock"):
        buildah = Buildah()
        references = {recipe: recipe.reference(base_reference()) for recipe in recipes}  # once: files may change
        missing = [recipe for recipe in recipes if not buildah.has(references[recipe])]
        if missing:
            buildah.remove_killed_builds()
            base = ensure_base_image(buildah)
        for recipe in missing:
            _build(buildah, recipe, base, references[recipe])
    return {recipe.name: reference for recipe, reference in references.items()}


def load_images(references: dict[str, str]) -> None:
    """Load built images into containerd, and remove earlier versions that no container uses.

    Raises:
        LocalClusterError: containerd refused.
    """
    with locked(cache_folder() / "locks" / "images.lock"):
        buildah = Buildah()
        for reference in references.values():
            if reference not in containerd.images():
                with step(f"Load {reference} into containerd") as this:
                    load_into_containerd(this, StoredImage(buildah.store, reference))
        _remove_earlier_versions(buildah, references)


def _build(buildah: Buildah, recipe: Recipe, base: str, reference: str) -> None:
    remedy = "Run the same command again; finished layers and downloads are kept."
    arguments = [text for argument in recipe.arguments for text in ("--build-arg", argument)]
    with step(f"Build the {recipe.name} image", remedy=remedy) as this:
        buildah.run(
            this, "build", "--isolation", "chroot", "--network", "host", "--layers",
            "--build-arg", f"BASE_IMAGE={base}", *arguments, "--file", recipe.dockerfile, "--tag", reference, CHECKOUT,
        )  # fmt: skip


def _remove_earlier_versions(buildah: Buildah, references: dict[str, str]) -> None:
    """Remove images with the same names and other tags."""
    prefixes = tuple(f"{_REPOSITORY}/{name}:" for name in references)
    in_use = containerd.images_in_use()

    def is_earlier_version(image: str) -> bool:
        return image.startswith(prefixes) and image not in references.values() and image not in in_use

    if old := [image for image in containerd.images() if is_earlier_version(image)]:
        containerd.ctr("images", "rm", *old)
    if old := [image for image in buildah.references() if is_earlier_version(image)]:
        buildah.output("rmi", *old)
