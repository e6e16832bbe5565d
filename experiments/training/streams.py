"""What is shown never decides over what is done: stdout and stderr that do not fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any


@contextmanager
def sturdy_output() -> Iterator[None]:
    """Lets writes to stdout and stderr never fail: a reader that is gone is said, once, and passed.

    So is a full disk.  A character that the encoding lacks is shown as its code.
    """
    _fill_standard_descriptors()
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))  # For one that was closed.
        stack.enter_context(redirect_stderr(_Sturdy(sys.stderr or nowhere, "stderr")))
        stack.enter_context(redirect_stdout(_Sturdy(sys.stdout or nowhere, "stdout")))
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


class _Sturdy:
    """A text stream of which the first failure is the last one."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name = stream, name
        self._is_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes a text, if that can be done; returns its length."""
        try:
            self._try(lambda: self._stream.write(text))
        except UnicodeEncodeError as error:
            shown = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
            self._try(lambda: self._stream.write(shown))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes texts one by one."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what was written, if that can be done."""
        self._try(self._stream.flush)

    def _try(self, action: Any) -> None:
        if self._is_lost:
            return
        try:
            action()
        except UnicodeEncodeError:
            raise
        except ValueError:
            self._is_lost = True  # Somebody closed it.
        except OSError as error:
            self._is_lost = True
            with suppress(OSError):
                # What is still in its buffer goes nowhere as well, rather than fail at the end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            note = f"Note: {self._name} takes no more ({error.strerror}); the program goes on."
            print(note, file=sys.stderr)


def _fill_standard_descriptors() -> None:
    """Opens those of 0, 1 and 2 that are closed: a file of the run would get their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
