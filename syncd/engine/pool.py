"""Worker threads of one mirror. The only place in the engine where threads are made."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from syncd.engine.job import Job, Result
from syncd.engine.sidecar_work import Answers, Errand, Favour, broken_off
from syncd.errors import TransientError

log = logging.getLogger(__name__)

DRAIN_S = 20.0

Task = Job | Errand | Favour
Told = list[Result] | Answers | None
"""What came of a task; a favour tells by itself."""
Workers = Callable[[Callable[[Task], Told], Callable[[Told], None]], "Pool"]
"""Makes the workers from what they do, and from where what came of it goes."""


class Pool(Protocol):
    """Where the control thread gives jobs out; results arrive through its `deliver`."""

    def give(self, job: Task) -> None: ...

    def close(self) -> None: ...


class ThreadPool:
    """`size` threads that carry out jobs one after the other."""

    def __init__(
        self,
        size: int,
        work: Callable[[Task], Told],
        deliver: Callable[[Told], None],
    ) -> None:
        self._jobs: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._work = work
        self._deliver = deliver
        self._threads = [
            threading.Thread(target=self._run, name=f"syncd-worker-{n}", daemon=True)
            for n in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, job: Task) -> None:
        self._jobs.put(job)

    def close(self) -> None:
        """Let running jobs end, for at most `DRAIN_S`; jobs not begun are dropped. What is cut
        short stays due in the state file, and a big upload goes on where it was."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + DRAIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._deliver(self._work(job))
            except Exception:
                log.exception("worker failed job=%.200r", job)
                self._deliver(_broken(job))


def _broken(job: Task) -> Told:
    error = TransientError("syncd itself failed; see the log")
    if isinstance(job, Errand):
        return broken_off(job, error)
    return [Result(step=s, error=error) for s in job.steps] if isinstance(job, Job) else None
