"""Chunks computed by the workers of a Dask scheduler, on this machine or others.

Answers arrive in the order of the chunks. If a worker dies, another worker computes its chunks.
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
AHEAD = 4  # chunks submitted per worker in advance
PATIENCE = 30  # seconds to reach a scheduler

LOST = "lost the connection to the scheduler; restart it and run the same command again"

_ADDRESS = re.compile(r"(?:tcp|tls|ws|wss)://.+")


def answers(question: Question, chunks: Sequence[int], scheduler: str) -> Generator[Answer, None, None]:
    """The answers of `chunks`, in their order. Raises InputError if the scheduler is invalid or cannot be reached."""
    with _client(scheduler) as client:
        # A task's result, not scattered data, which is lost with the last worker that holds it.
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
        raise LlmarchError("workers keep dying on the same chunk; they may lack memory") from None
    except (CancelledError, OSError):
        raise LlmarchError(LOST) from None
    except ModuleNotFoundError as error:
        raise InputError(f"--scheduler: a worker lacks {error.name}; install llmarch {__version__} on it") from None


def _held(question: Question) -> Question:
    return question


_latest: tuple[Question, Search] | None = None  # cached in each worker


def _answer(question: Question, chunk: int, version: str) -> Answer:
    global _latest
    if version != __version__:
        raise InputError(f"--scheduler: a worker has llmarch {__version__}, this is {version}; install {version} on it")
    latest = _latest  # read once: another thread may replace it
    if latest is None or latest[0] is not question:
        _latest = latest = question, Search(question)
    return latest[1].answer(chunk)


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    local = re.fullmatch(r"local:([0-9]{1,3})", scheduler)
    if not (local and 1 <= int(local[1]) <= MAX_LOCAL) and not _ADDRESS.fullmatch(scheduler):
        raise InputError(
            f"--scheduler must be local:N, with N from 1 to {MAX_LOCAL} workers on this machine, or an address such as"
            f" tcp://host:8786, not {shown(scheduler)}"
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(
            "--scheduler needs Dask: install the extra `dask` (in a checkout: pip install '.[dask]')"
        ) from None
    if local is None:
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # errors are raised in one line instead
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
    """Block SIGINT while workers start. They inherit the block, so only this process handles Ctrl-C.

    A terminal interrupts all processes at once, and interrupted workers would print tracebacks.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it later would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
