"""Chunks handed to the workers of a Dask scheduler, on this machine or on any other.

The answers come back in the order of the chunks, however many workers there are. A worker that dies has its chunks
done by another one.
"""

from __future__ import annotations

import logging
import re
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from llmarch_cli.errors import InputError, LlmarchError, shown
from llmarch_cli.sweeping.search import Answer, Question, Search
from llmarch_cli.version import __version__

MAX_LOCAL = 256  # workers
AHEAD = 4  # chunks for each worker that are handed out before their answers are wanted
PATIENCE = 30  # seconds to reach a scheduler

LOST = "the connection to the scheduler is lost: start it again, and the same command"

_ADDRESS = re.compile(r"(?:tcp|tls|ws|wss)://.+")


def answers(question: Question, chunks: Sequence[int], scheduler: str) -> Generator[Answer, None, None]:
    """The answers of `chunks`, in their order. Raises InputError where there is no such scheduler."""
    with _client(scheduler) as client:
        # The outcome of a task, and not scattered data: that is lost with the last worker that has it.
        held = client.submit(_held, question, pure=False)
        todo = iter(chunks)
        waiting: deque[Any] = deque()
        while True:
            while len(waiting) < AHEAD * _n_workers(client) and (chunk := next(todo, None)) is not None:
                waiting.append(client.submit(_answer, held, chunk, __version__, pure=False))
            if not waiting:
                return
            yield _result(waiting.popleft())


def _n_workers(client: Any) -> int:
    try:
        return max(1, len(client.nthreads()))
    except OSError:
        raise LlmarchError(LOST) from None


def _result(future: Any) -> Answer:
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    try:
        return future.result()  # type: ignore[no-any-return]
    except KilledWorker:
        raise LlmarchError("workers died again and again over the same chunk: do they have enough memory?") from None
    except (CancelledError, OSError):
        raise LlmarchError(LOST) from None
    except ModuleNotFoundError as error:
        raise InputError(f"--scheduler: a worker lacks {error.name}: install llmarch {__version__} there") from None


def _held(question: Question) -> Question:
    return question


_latest: tuple[Question, Search] | None = None  # in a worker: what it answers chunks of


def _answer(question: Question, chunk: int, version: str) -> Answer:
    global _latest
    if version != __version__:
        raise InputError(f"--scheduler: a worker has llmarch {__version__}, but {version} asks: install the same there")
    latest = _latest  # read once: another thread may be at another question
    if latest is None or latest[0] is not question:
        _latest = latest = question, Search(question)
    return latest[1].answer(chunk)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    local = re.fullmatch(r"local:([0-9]{1,3})", scheduler)
    if not (local and 1 <= int(local[1]) <= MAX_LOCAL) and not _ADDRESS.fullmatch(scheduler):
        raise InputError(
            f"--scheduler takes local:N, for N workers on this machine, or an address such as tcp://host:8786,"
            f" not {shown(scheduler)}"
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError("--scheduler needs Dask: pip install 'llmarch[dask]'") from None
    if local is None:
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what goes wrong is told in a line
        try:
            client = Client(scheduler, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler {shown(scheduler)}: {error}") from None
        with client:
            yield client
        return
    with _uninterrupted():
        cluster = LocalCluster(
            n_workers=int(local[1]),
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until what is started here has started, and from that for good: this process ends it.

    A terminal interrupts all processes at once, and workers would die talking.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # to start it would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
