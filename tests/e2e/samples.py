"""The objects of `manifests/samples/`, as a user applies them: only addresses and images are replaced by the harness's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo.kubectl import Manifest
from tests.e2e.training import Training
from tests.support.cluster_harness import ClusterHarness

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "samples"
ENDS = re.compile(r"# Ends: (?P<status>[A-Z]\w+)(?:, (?P<reason>[A-Z]\w+))?\b")
SAS = "?YOUR-SAS"
# What stands at an address of the samples here, the special ones first.
PLACES: dict[str, Callable[[ClusterHarness], str]] = {
    r"data/breeds\.csv": lambda harness: harness.classes,
    r"data/[^\s\"?]+": lambda harness: harness.annotations,
    r"models/[^\s\"?]+": lambda harness: harness.model_url(),
    r"one-model/cats\.json": lambda harness: harness.storage.blob_url(harness.container(), "cats.json", "rcw"),
    r"earlier/cats/model\.tgz": lambda harness: harness.earlier_model,
}
KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"


@dataclass(frozen=True)
class Sample:
    """One file."""

    path: Path

    def promised_end(self) -> tuple[str, str]:
        """STATUS and REASON that its first line promises; the reason is empty where it names none."""
        first = self.path.read_text().partition("\n")[0]
        promised = ENDS.match(first)
        assert promised, f"{self.path.name} must begin with `# Ends: STATUS[, REASON]`, not with {first!r}"
        return promised["status"], promised["reason"] or ""

    def __call__(self, harness: ClusterHarness) -> Training:
        """Apply it, and do what a cluster of its kind would have or do."""
        manifests: list[Manifest] = list(yaml.safe_load_all(self._text(harness)))
        (trainingjob,) = (manifest for manifest in manifests if manifest["kind"] == "TrainingJob")
        for manifest in manifests:
            _apply(harness, manifest)
        training = Training(harness, trainingjob["metadata"]["name"])
        if KUEUE_QUEUE in trainingjob["metadata"].get("labels", {}):
            _hold_as_kueue(training)
        return training

    def _text(self, harness: ClusterHarness) -> str:
        text, in_secret = self.path.read_text(), SAS in self.path.read_text()
        for path, place in PLACES.items():
            address = rf"https://account\.blob\.core\.windows\.net/{path}"
            if re.search(address, text):
                url = place(harness)
                text = re.sub(address + re.escape(SAS), url, text)
                text = re.sub(address, url.partition("?")[0] if in_secret else url, text)
        return text


def all_samples() -> list[Sample]:
    """Every file of the folder."""
    return [Sample(path) for path in sorted(FOLDER.iterdir())]


def _apply(harness: ClusterHarness, manifest: Manifest) -> None:
    match manifest["kind"]:
        case "PriorityClass":
            harness.apply_to_cluster(manifest)
        case "PersistentVolumeClaim":
            harness.claim(manifest)
        case _:
            harness.kubectl.apply(manifest)


def _hold_as_kueue(training: Training) -> None:
    """Suspend its Job, as Kueue does with those that its queue has no room for."""
    kubectl = training.harness.kubectl
    training.harness.wait(f"the Job of {training.name}", lambda: training.uid("job"))
    kubectl("patch", "job", training.name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
