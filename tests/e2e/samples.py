"""Apply the manifests of `manifests/samples/` with the harness's URLs in place of the example addresses."""

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
# The harness's URL for each example address; specific patterns first.
URLS: dict[str, Callable[[ClusterHarness], str]] = {
    r"data/breeds\.csv": lambda harness: harness.classes,
    r"data/[^\s\"?]+": lambda harness: harness.annotations,
    r"models/[^\s\"?]+": lambda harness: harness.model_url(),
    r"one-model/cats\.json": lambda harness: harness.storage.blob_url(harness.container(), "cats.json", "rcw"),
    r"earlier/cats/model\.tgz": lambda harness: harness.earlier_model,
}
KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"


@dataclass(frozen=True)
class Sample:
    """A sample file."""

    path: Path

    def promised_end(self) -> tuple[str, str]:
        """STATUS and REASON from its first line; the reason is "" if it names none."""
        first_line = self.path.read_text().partition("\n")[0]
        match = ENDS.match(first_line)
        assert match, f"{self.path.name} must begin with `# Ends: STATUS[, REASON]`, not with {first_line!r}"
        return match["status"], match["reason"] or ""

    def __call__(self, harness: ClusterHarness) -> Training:
        """Apply it, and simulate the storage or Kueue that it needs."""
        manifests: list[Manifest] = list(yaml.safe_load_all(self._text(harness)))
        (trainingjob,) = (manifest for manifest in manifests if manifest["kind"] == "TrainingJob")
        for manifest in manifests:
            _apply(harness, manifest)
        training = Training(harness, trainingjob["metadata"]["name"])
        if KUEUE_QUEUE in trainingjob["metadata"].get("labels", {}):
            _suspend_as_kueue(training)
        return training

    def _text(self, harness: ClusterHarness) -> str:
        text, in_secret = self.path.read_text(), SAS in self.path.read_text()
        for path, make_url in URLS.items():
            address = rf"https://account\.blob\.core\.windows\.net/{path}"
            if re.search(address, text):
                url = make_url(harness)
                text = re.sub(address + re.escape(SAS), url, text)
                text = re.sub(address, url.partition("?")[0] if in_secret else url, text)
        return text


def all_samples() -> list[Sample]:
    """All files of the samples folder."""
    return [Sample(path) for path in sorted(FOLDER.iterdir())]


def _apply(harness: ClusterHarness, manifest: Manifest) -> None:
    match manifest["kind"]:
        case "PriorityClass":
            harness.apply_cluster_scoped(manifest)
        case "PersistentVolumeClaim":
            harness.create_claim(manifest)
        case _:
            harness.kubectl.apply(manifest)


def _suspend_as_kueue(training: Training) -> None:
    """Suspend the Job, as Kueue does without quota."""
    kubectl = training.harness.kubectl
    training.harness.wait(f"the Job of {training.name}", lambda: training.uid("job"))
    kubectl("patch", "job", training.name, "--type=merge", "--patch", '{"spec": {"suspend": true}}')
