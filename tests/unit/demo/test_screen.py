"""Progress output on a terminal and elsewhere."""

import io
import re

from demo.progress import Step
from demo.screen import Screen


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def show(out: io.StringIO, *steps: Step) -> str:
    screen = Screen(out)
    for step in steps:
        screen.show(step)
    screen.close()
    return out.getvalue()


def training(percent: int) -> Step:
    return Step("training", f"epoch {percent // 10}/10", percent)


def test_a_repeated_step_is_printed_once_outside_a_terminal() -> None:
    assert show(io.StringIO(), *[Step("queued", "in the queue")] * 5) == "  queued    in the queue\n"


def test_training_prints_sparse_lines_outside_a_terminal() -> None:
    lines = show(io.StringIO(), *map(training, range(101))).splitlines()
    assert [int(match[1]) for line in lines if (match := re.search(r"(\d+) %", line))] == [0, 20, 40, 60, 80, 100]


def test_every_new_reason_to_wait_is_printed() -> None:
    steps = [Step("waiting", text) for text in ("no GPU", "no GPU", "image pull failed")]
    assert len(show(io.StringIO(), *steps).splitlines()) == 2


def test_the_bar_grows_with_the_percentage() -> None:
    assert "█████░░░░░░░░░░░░░░░  25 %" in show(Terminal(), training(25))


def test_a_terminal_line_is_updated_in_place_until_the_phase_changes() -> None:
    text = show(Terminal(), Step("queued", "a"), Step("queued", "b"), training(1), training(2))
    assert text.count("\n") == 2
    assert text.count("\r") == 4


def test_output_without_unicode_has_an_ascii_bar() -> None:
    assert "#####..............." in show(io.StringIO(), training(25))
