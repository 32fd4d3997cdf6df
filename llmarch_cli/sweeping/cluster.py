"""Chunks handed to the workers of a Dask scheduler, on this machine or on any other.

The answers come back in the order of the chunks, however many workers there are. A worker that dies has its chunks
done by another one.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llmarch_cli.errors import InputError, LlmarchError, shown
from llmarch_cli.sweeping.search import Answer, Question, Search

MAX_LOCAL = 256  # workers
AHEAD = 4  # chunks for each worker that are handed out before their answers are wanted
PATIENCE = 30  # seconds to reach a scheduler

_ADDRESS = re.compile(r"(?:tcp|tls|ws|wss)://.+")


def answers(question: Question, chunks: Sequence[int], scheduler: str) -> Generator[Answer, None, None]:
    """The answers of `chunks`, in their order. Raises InputError where there is no such scheduler."""
    with _client(scheduler) as client:
        held = client.scatter(question, broadcast=True, hash=False)
        todo = iter(chunks)
        waiting: deque[Any] = deque()
        while True:
            while len(waiting) < AHEAD * max(1, len(client.nthreads())) and (chunk := next(todo, None)) is not None:
                waiting.append(client.submit(_answer, held, chunk, pure=False))
            if not waiting:
                return
            yield _result(waiting.popleft())


def _result(future: Any) -> Answer:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()  # type: ignore[no-any-return]
    except KilledWorker:
        raise LlmarchError("workers died again and again over the same chunk: do they have enough memory?") from None


_latest: tuple[Question, Search] | None = None  # in a worker: what it answers chunks of


def _answer(question: Question, chunk: int) -> Answer:
    global _latest
    if _latest is None or _latest[0] is not question:
        _latest = question, Search(question)
    return _latest[1].answer(chunk)


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
        try:
            with Client(scheduler, timeout=PATIENCE) as client:
                yield client
        except OSError as error:
            raise InputError(f"--scheduler {shown(scheduler)}: {error}") from None
        return
    with (
        LocalCluster(
            n_workers=int(local[1]),
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
