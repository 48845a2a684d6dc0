"""Which of repeated failures are logged."""

from vott_guard.log_repeats import REPEAT_SECONDS, Repeats


class Clock:
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_failure_that_lasts_is_logged_every_five_minutes() -> None:
    clock = Clock()
    repeats, logged = Repeats(clock), []
    for second in range(0, 1000, 10):
        clock.seconds = second
        if repeats.is_news("queue", f"no route; port {second}, again in {second / 7:.1f} s"):
            logged.append(second)
    assert logged == [0, REPEAT_SECONDS, 2 * REPEAT_SECONDS, 3 * REPEAT_SECONDS]


def test_another_cause_another_subject_and_a_failure_after_a_recovery_are_news() -> None:
    repeats = Repeats(Clock())
    assert repeats.is_news("queue", "no route")
    assert not repeats.is_news("queue", "no route")
    assert repeats.is_news("queue", "access denied")
    assert repeats.is_news("other queue", "access denied")
    assert repeats.end("queue")
    assert not repeats.end("queue")
    assert repeats.is_news("queue", "access denied")
