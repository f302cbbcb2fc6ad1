"""Every error syncd raises, sorted by what the caller has to do about it.

SyncdError                     exit 1
├─ UsageError                  exit 2  the call itself is wrong
├─ ConfigError                 exit 3  mend the configuration; lists every problem at once
├─ NotFoundError               exit 4  dataset, item or path named by the user is not there
├─ BusyError                   exit 6  another instance holds the folder, the state or the data
├─ StateError                  exit 1  the state file is locked, newer than this program, damaged
├─ LocalError                  one path; the others go on
│  ├─ VanishedError                    gone since it was seen: nothing to do
│  ├─ UnsettledError                   still being written, or changed while it was read
│  ├─ UnreadableError                  no rights, I/O error: retried slowly
│  ├─ NameRefusedError                 the name cannot be carried: refused until it changes
│  └─ FormatError                      a document is not what it should be; says where in it
└─ RemoteError                 what the other side did
   ├─ TransientError           exit 5  unreachable, busy, torn: retried with back-off
   │  └─ NoRoomError           exit 7  full: a person has to make room, and who waits sees it
   ├─ RejectedError                    this file will never pass as it is
   ├─ ConflictError                    the item is not what we thought: decide again
   ├─ MissingError                     the bytes or the item are not there after all
   ├─ DeniedError              exit 7  credentials or quota: stop, do not spin
   └─ GarbledError             exit 5  an answer that cannot be understood: retried as transient
      └─ DamagedError          exit 1  bytes that are not their digest's: seldom better later
"""

from __future__ import annotations

from typing import ClassVar


class SyncdError(Exception):
    """Base of all; `str()` is one line for the user: what, which path, what next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(SyncdError):
    exit_code = 2


class ConfigError(SyncdError):
    exit_code = 3


class NotFoundError(SyncdError):
    exit_code = 4


class BusyError(SyncdError):
    exit_code = 6


class StateError(SyncdError):
    pass


class LocalError(SyncdError):
    pass


class VanishedError(LocalError):
    pass


class UnsettledError(LocalError):
    pass


class UnreadableError(LocalError):
    pass


class NameRefusedError(LocalError):
    pass


class FormatError(LocalError):
    pass


class RemoteError(SyncdError):
    pass


class TransientError(RemoteError):
    """Try again; `retry_after` is the number of seconds the remote asked for, if it did,
    `answered` tells that it did answer, only not well: another batch may fare better, and `late`
    that it was there and had not answered when its time was over."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        answered: bool = False,
        late: bool = False,
        path: str | None = None,
    ) -> None:
        super().__init__(message, path=path)
        self.retry_after = retry_after
        self.answered = answered
        self.late = late


class NoRoomError(TransientError):
    exit_code = 7


class RejectedError(RemoteError):
    pass


class ConflictError(RemoteError):
    pass


class MissingError(RemoteError):
    pass


class DeniedError(RemoteError):
    exit_code = 7


class GarbledError(TransientError):
    def __init__(self, message: str) -> None:
        super().__init__(message, answered=True)


class DamagedError(GarbledError):
    exit_code = 1
