"""Signals as a wish: taken while something is open, granted when it has ended."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from client.serving.stopping import SIGNALS, Stopping


@pytest.fixture
def before() -> Iterator[list[object]]:
    found = [signal.getsignal(number) for number in SIGNALS]
    yield list(found)
    assert [signal.getsignal(number) for number in SIGNALS] == found


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_waiting_and_not_the_process(
    before: list[object], number: signal.Signals
) -> None:
    with Stopping() as stopping:
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        stopping.wait(every=5.0)
        assert stopping.asked


def test_a_signal_that_another_thread_takes_is_heard_at_once(before: list[object]) -> None:
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with Stopping() as stopping:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            stopping.wait(lambda: pytest.fail("it slept through"), every=20.0)
            assert stopping.asked
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        stop.set()
        other.join()


def test_other_signals_do_not_end_the_waiting(before: list[object]) -> None:
    heard = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not stopping.pause(0.05)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert heard == [signal.SIGUSR1]


def test_tidying_goes_on_until_then(before: list[object]) -> None:
    tidied = []

    def tidy() -> None:
        tidied.append(len(tidied))
        if len(tidied) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with Stopping() as stopping:
        stopping.wait(tidy, 0.01)
    assert tidied == [0, 1, 2]


def test_what_takes_long_is_given_up_and_what_is_open_is_closed(before: list[object]) -> None:
    closed = []
    with pytest.raises(SystemExit) as ended, Stopping() as stopping:
        try:
            with stopping.at_once():
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Event().wait(5.0)
                closed.append("never")
        finally:
            closed.append("ledger")
    assert (ended.value.code, closed) == (0, ["ledger"])


def test_nothing_long_is_begun_after_somebody_asked(before: list[object]) -> None:
    with pytest.raises(SystemExit), Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.pause(5.0)
        with stopping.at_once():
            raise AssertionError("it was begun")
