"""One demo on a cluster that has the operator: upload, send, follow, verify, show."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from demo import report, result, watch
from demo.callbacks import CallbackReceiver
from demo.environment import Site
from demo.errors import DemoError
from demo.kubectl import Kubectl, Manifest
from demo.progress import condition, is_true
from demo.screen import Screen
from demo.session import Session
from demo.shapes import annotated_images
from demo.storage import Storage


@dataclass(frozen=True)
class Options:
    """What the person asked for. `plugin` None and no `parameters`: the operator's and the trainer's defaults."""

    images: int
    plugin: str | None
    parameters: dict[str, Any]
    time_limit: float
    output: Path
    keep: bool


class Demo:
    """One run of the demo."""

    def __init__(self, site: Site, options: Options) -> None:
        self._site = site
        self._options = options
        self._screen = Screen()
        self._kubectl = Kubectl(site.kubeconfig, site.namespace)
        self._session = Session(Storage(site.storage), site.queue)
        self._keep = options.keep

    def run(self) -> None:
        """Raises `DemoError` where anything is not as promised."""
        try:
            with self._receiver() as receiver:
                self._train(receiver)
        except KeyboardInterrupt:
            self._screen.say("Interrupted: the training is cancelled.")
            self._session.cancel(self._kubectl)
            raise
        except Exception:
            self._keep_what_is_needed()
            raise
        finally:
            self._screen.close()
            if not self._keep:
                self._session.remove_containers()

    def _keep_what_is_needed(self) -> None:
        """After an error a message that was sent may still be trained, and needs its images."""
        if self._session.sent is not None and not self._keep:
            self._keep = True
            self._screen.say(f"Kept: containers {self._session.images} and {self._session.models}.")

    def _train(self, receiver: CallbackReceiver | None) -> None:
        annotations = self._upload()
        status = receiver.url if receiver else None
        message_id = self._session.send(annotations, status, self._options.plugin, self._options.parameters)
        self._screen.say(f"  message   {message_id} in queue {self._site.queue}")
        job = watch.follow(self._kubectl, message_id, self._screen, receiver, self._options.time_limit)
        if receiver:
            watch.await_last_word(receiver)
        self._show(job, receiver.posts if receiver else None)

    def _receiver(self) -> CallbackReceiver | nullcontext[None]:
        host = self._site.host_address
        if host is None:
            self._screen.say("HOST_ADDRESS is not set: the message names no callback URL.")
            return nullcontext()
        try:
            return CallbackReceiver(host)
        except OSError as error:
            raise DemoError(
                f"HOST_ADDRESS is {host}, but no callback can be received there: {error.strerror}."
                " Set it to an address of this host that pods reach, or leave it unset for a demo without callback."
            ) from error

    def _upload(self) -> str:
        count, session = self._options.images, self._session
        session.create_containers()
        with click.progressbar(length=count, label="  images   ", hidden=not sys.stdout.isatty()) as bar:
            url = session.storage.upload_images(session.images, annotated_images(count), lambda _: bar.update(1))
        self._screen.say(f"  uploaded  {count} images and annotations.csv to container {session.images}")
        return url

    def _show(self, job: Manifest, posts: list[dict[str, Any]] | None) -> None:
        self._screen.say(f"\n{self._kubectl('get', 'trainingjobs').rstrip()}")
        if posts:
            self._screen.say(f"\nCallback posts received: {len(posts)}\n{report.callback_table(posts)}")
        if is_true(job, "Failed"):
            raise DemoError(self._failure(job))
        problems = result.faults(job, self._show_model(job), posts)
        if problems:
            raise DemoError("\n".join(problems))
        self._screen.say("\nDone: the message became a trained model.")

    def _show_model(self, job: Manifest) -> result.Model:
        blob = job["status"]["model"]["url"].rpartition("/")[2]
        model = result.read_model(self._session.storage.download(self._session.models, blob))
        saved = report.save(model, self._options.output)
        self._screen.say(f"\nModel: {_shown(saved.archive)}, {len(model.archive):,} bytes, SHA-256 {model.sha256}")
        self._screen.say(f"Classes: {', '.join(model.labels)}\n{report.metric_lines(model.metrics)}")
        if saved.predicted:
            self._screen.say(f"\nWhat the model sees on a held-out image: {_shown(saved.predicted)}")
        if saved.report:
            self._screen.say(f"The report, to open in a browser: {_shown(saved.report)}")
        return model

    def _failure(self, job: Manifest) -> str:
        failed = condition(job, "Failed")
        logs = self._kubectl.logs(job["metadata"]["name"])
        text = f"The training failed. {failed.get('reason')}: {failed.get('message')}"
        return f"{text}\n\nLast lines of its pods:\n{logs}" if logs else text


def _shown(path: Path) -> Path:
    """The path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
