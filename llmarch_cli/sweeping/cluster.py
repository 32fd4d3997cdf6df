"""Chunks computed by the workers of a Dask scheduler, on this machine or others.

Answers arrive in the order of the chunks; where no rows are stored, those of several chunks as one, and nothing for the
others. If a worker dies, another worker computes its chunks.
"""

from __future__ import annotations

import gc
import logging
import math
import re
import signal
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

from llmarch_cli.errors import InputError, LlmarchError, shown
from llmarch_cli.sweeping.search import Answer, Question, Search
from llmarch_cli.version import __version__

MAX_LOCAL = 256  # workers
AHEAD = 4  # tasks submitted per worker in advance
SHARE = 32  # tasks for each worker, or more: then all end at about the same time
MOST_AT_ONCE = 64  # chunks in a task
PATIENCE = 30  # seconds to reach a scheduler

LOST = "lost the connection to the scheduler; restart it and run the same command again"

# Of workers that this process starts. Dask has them give back freed memory at once, which costs a third of a search in
# page faults, and look at what they do up to a hundred times a second. Their answers are small: nothing has to be
# spilled to a disk.
_LOCAL = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}

_ADDRESS = re.compile(r"(?:tcp|tls|ws|wss)://.+")


def answers(question: Question, chunks: Sequence[int], scheduler: str) -> Generator[Answer, None, None]:
    """The answers of `chunks`, in their order. Raises InputError if the scheduler is invalid or cannot be reached."""
    with _client(scheduler) as client:
        # A task's result, not scattered data, which is lost with the last worker that holds it.
        held = client.submit(_held, question, pure=False)
        size = 1 if question.store else min(MOST_AT_ONCE, max(1, len(chunks) // (SHARE * _n_workers(client))))
        todo = (chunks[start : start + size] for start in range(0, len(chunks), size))
        waiting: deque[tuple[int, Any]] = deque()
        n_workers, counted = 0, -math.inf
        while True:
            if time.monotonic() > counted + 1:  # they come and go, and to ask takes as long as a small chunk
                n_workers, counted = _n_workers(client), time.monotonic()
            for some in islice(todo, max(0, AHEAD * n_workers - len(waiting))):
                waiting.append((len(some), client.submit(_answer, held, some, __version__, pure=False)))
            if not waiting:
                return
            n_chunks, future = waiting.popleft()
            yield _result(future)
            yield from (Answer() for _ in range(n_chunks - 1))


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


def _answer(question: Question, chunks: Sequence[int], version: str) -> Answer:
    """The answer of one chunk, or that of several without the rows to store."""
    global _latest
    if version != __version__:
        raise InputError(f"--scheduler: a worker has llmarch {__version__}, this is {version}; install {version} on it")
    latest = _latest  # read once: another thread may replace it
    if latest is None or latest[0] is not question:
        gc.set_threshold(100_000)  # as the command line does
        _latest = latest = question, Search(question)
    search, total = latest[1], Answer()
    if len(chunks) == 1:
        return search.answer(chunks[0])
    for chunk in chunks:
        search.merge(total, search.answer(chunk))
    return total


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    local = re.fullmatch(r"local:([0-9]{1,3})", scheduler)
    if not (local and 1 <= int(local[1]) <= MAX_LOCAL) and not _ADDRESS.fullmatch(scheduler):
        raise InputError(
            f"--scheduler must be local:N, with N from 1 to {MAX_LOCAL} workers on this machine, or an address such as"
            f" tcp://host:8786, not {shown(scheduler)}"
        )
    try:
        import dask
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
    with _uninterrupted(), dask.config.set(_LOCAL):
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
