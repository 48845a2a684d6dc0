"""Run the demo: upload images, send the message, follow the training, verify and show the model."""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from demo import report, result, watch
from demo.callbacks import CallbackReceiver
from demo.consumer import Training
from demo.environment import Site
from demo.errors import DemoError
from demo.screen import Screen
from demo.session import Session
from demo.shapes import annotated_images
from demo.storage import Storage


@dataclass(frozen=True)
class Options:
    """Options of the command line. No `archive`: drawn shapes. No `plugin` and no `parameters`: the defaults of consumer and trainer."""

    archive: Path | None
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
        self._session = Session(Storage(site.storage), site.queue)
        self._keep = options.keep or site.is_temporary

    def run(self) -> None:
        """Run the demo. Raises DemoError if anything fails."""
        try:
            with self._receiver() as receiver:
                self._train(receiver)
        except KeyboardInterrupt:
            self._screen.print_line("Interrupted; cancelling the training.")
            self._session.cancel(self._site.consumer)
            raise
        except Exception:
            self._keep_containers()
            raise
        finally:
            self._screen.close()
            if not self._keep:
                self._session.remove_containers()

    def _keep_containers(self) -> None:
        """Keep the containers after an error, because the training may continue and need them."""
        if self._session.sent is not None and not self._keep:
            self._keep = True
            self._screen.print_line(f"Containers kept: {self._session.images} and {self._session.models}.")

    def _train(self, receiver: CallbackReceiver | None) -> None:
        self._session.create_containers()
        archive = self._options.archive
        annotations = self._upload_archive(archive) if archive else self._upload_shapes()
        status = receiver.url if receiver else None
        message_id = self._session.send(annotations, status, self._options.plugin, self._options.parameters)
        self._screen.print_line(f"  message   {message_id} in queue {self._site.queue}")
        training = watch.follow(self._site.consumer, message_id, self._screen, receiver, self._options.time_limit)
        if receiver:
            watch.wait_for_outcome(receiver)
        self._show(training, receiver.posts if receiver else None)

    def _receiver(self) -> CallbackReceiver | nullcontext[None]:
        host = self._site.host_address
        if host is None:
            self._screen.print_line("HOST_ADDRESS is not set, so the message has no callback URL.")
            return nullcontext()
        try:
            return CallbackReceiver(host)
        except OSError as error:
            raise DemoError(
                f"The demo can't receive callbacks at HOST_ADDRESS {host}: {error.strerror}."
                " Set it to an address of this host that pods can reach, or unset it to run without callbacks."
            ) from error

    def _upload_archive(self, archive: Path) -> str:
        session = self._session
        url = session.storage.upload_file(session.images, archive)
        self._screen.print_line(
            f"  uploaded  {archive.name}, {archive.stat().st_size:,} bytes, to container {session.images}"
        )
        return url

    def _upload_shapes(self) -> str:
        count, session = self._options.images, self._session
        with click.progressbar(length=count, label="  images   ", hidden=not sys.stdout.isatty()) as bar:
            url = session.storage.upload_images(session.images, annotated_images(count), lambda _: bar.update(1))
        self._screen.print_line(f"  uploaded  {count} images and annotations.csv to container {session.images}")
        return url

    def _show(self, training: Training, posts: list[dict[str, Any]] | None) -> None:
        self._screen.print_line(f"\n{self._site.consumer.summary()}")
        if posts:
            self._screen.print_line(f"\nCallbacks received: {len(posts)}\n{report.callback_table(posts)}")
        if training.failure:
            raise DemoError(self._failure(training))
        problems = result.problems(training, self._show_model(training), posts)
        if problems:
            raise DemoError("\n".join(problems))
        self._screen.print_line("\nDone: the model is trained and verified.")

    def _show_model(self, training: Training) -> result.Model:
        blob = training.model["url"].rpartition("/")[2]
        model = result.read_model(self._session.storage.download(self._session.models, blob))
        saved = report.save(model, self._options.output)
        self._screen.print_line(
            f"\nModel: {_relative(saved.archive)}, {len(model.archive):,} bytes, SHA-256 {model.sha256}"
        )
        self._screen.print_line(f"Classes: {', '.join(model.labels)}\n{report.metric_lines(model.metrics)}")
        if saved.predicted:
            self._screen.print_line(f"\nPredictions on a held-out image: {_relative(saved.predicted)}")
        if saved.report:
            self._screen.print_line(f"Report (open it in a browser): {_relative(saved.report)}")
        return model

    def _failure(self, training: Training) -> str:
        logs = self._site.consumer.logs(training.name)
        text = f"The training failed. {training.failure}"
        return f"{text}\n\nIts last log lines:\n{logs}" if logs else text


def _relative(path: Path) -> Path:
    """The path relative to the current folder, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
