"""The operator's and the trainer's image: built from their Dockerfiles, named by their content, handed to containerd."""

from dataclasses import dataclass
from pathlib import Path

from localcluster import containerd
from localcluster.base_image import base_reference, ensure_base_image
from localcluster.buildah import Buildah
from localcluster.cached import content_key, files_key, locked
from localcluster.dockerignore import DockerIgnore
from localcluster.errors import LocalClusterError
from localcluster.image_transfer import StoredImage, hand_over
from localcluster.paths import CHECKOUT, cache_folder
from localcluster.progress import step

_REPOSITORY = "localhost/vott-train"


@dataclass(frozen=True)
class Recipe:
    """An image's Dockerfile, and what of the checkout, which is its context, goes into it."""

    name: str
    dockerfile: Path
    parts: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    def reference(self, base: str) -> str:
        """The image's name; its tag is a hash of everything that goes into it."""
        if not self.dockerfile.exists():
            raise LocalClusterError(f"There is no {self.dockerfile}: is this a complete checkout?")
        parts = [CHECKOUT / part for part in self.parts]
        files = [path for path in DockerIgnore(CHECKOUT).files() if any(map(path.is_relative_to, parts))]
        key = content_key(base, *self.arguments, self.dockerfile.read_bytes(), files_key(files, CHECKOUT))
        return f"{_REPOSITORY}/{self.name}:{key}"


OPERATOR = Recipe(
    "operator",
    CHECKOUT / "operator" / "Dockerfile",
    ("operator", "guard", "sbom", "requirements", "pyproject.toml", "README.md"),
)
BAKED = "mobilenet_v3_small"
TRAINER = Recipe(
    "trainer",
    CHECKOUT / "trainer-image" / "Dockerfile",
    ("trainer-image", "guard", "sbom"),
    (f"WEIGHTS={BAKED}@untrained",),
)
"""With weights that no training begins with by itself; those that have learned would be fetched from outside of the package registries."""


def image_references() -> dict[str, str]:
    """The images' names as this checkout's content gives them, built or not.

    Raises:
        LocalClusterError: a Dockerfile is missing.
    """
    return {recipe.name: recipe.reference(base_reference()) for recipe in (OPERATOR, TRAINER)}


def build_images(recipes: tuple[Recipe, ...] = (OPERATOR, TRAINER)) -> dict[str, str]:
    """Build what is not built yet, and give the references by name.

    Raises:
        LocalClusterError: a Dockerfile is missing, or a build failed.
    """
    with locked(cache_folder() / "locks" / "images.lock"):
        buildah = Buildah()
        wanted = {recipe: recipe.reference(base_reference()) for recipe in recipes}  # once: somebody may be editing
        missing = [recipe for recipe in recipes if not buildah.has(wanted[recipe])]
        if missing:
            buildah.forget_killed_builds()
            base = ensure_base_image(buildah)
        for recipe in missing:
            _build(buildah, recipe, base, wanted[recipe])
    return {recipe.name: reference for recipe, reference in wanted.items()}


def load_images(references: dict[str, str]) -> None:
    """Make built images known to containerd, and let go of their forerunners that no container uses.

    Raises:
        LocalClusterError: containerd refused.
    """
    with locked(cache_folder() / "locks" / "images.lock"):
        buildah = Buildah()
        for reference in references.values():
            if reference not in containerd.images():
                with step(f"Hand {reference} to containerd") as this:
                    hand_over(this, StoredImage(buildah.store, reference))
        _forget_forerunners(buildah, references)


def _build(buildah: Buildah, recipe: Recipe, base: str, reference: str) -> None:
    remedy = "Run the same command again: finished layers and downloads are kept."
    arguments = [text for argument in recipe.arguments for text in ("--build-arg", argument)]
    with step(f"Build the {recipe.name}'s image", remedy=remedy) as this:
        buildah.run(
            this, "build", "--isolation", "chroot", "--network", "host", "--layers",
            "--build-arg", f"BASE_IMAGE={base}", *arguments, "--file", recipe.dockerfile, "--tag", reference, CHECKOUT,
        )  # fmt: skip


def _forget_forerunners(buildah: Buildah, references: dict[str, str]) -> None:
    """Remove images of the same names with other contents."""
    prefixes = tuple(f"{_REPOSITORY}/{name}:" for name in references)
    in_use = containerd.images_in_use()

    def is_forerunner(image: str) -> bool:
        return image.startswith(prefixes) and image not in references.values() and image not in in_use

    if old := [image for image in containerd.images() if is_forerunner(image)]:
        containerd.ctr("images", "rm", *old)
    if old := [image for image in buildah.references() if is_forerunner(image)]:
        buildah.output("rmi", *old)
