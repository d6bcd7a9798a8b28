"""Jobs from the waiting command to the page and answers back; every method may be called from any thread."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition

from pocketfit.devices.measure.browser.messages import Done, Hello, Job
from pocketfit.errors import PocketfitError

__all__ = ["Exchange", "Material", "Refused"]

# Long enough for a phone to load a runtime over a slow network, and for one inference of a large model: while they
# last, its page says nothing.
SILENT_S = 120.0
# A page that waits for a job hears at once that none will come.
FAREWELL_S = 1.0


class Refused(Exception):
    """What a page asked for is not given; `status` is HTTP's number for it."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True)
class Material:
    """What a job is done with.

    Args:
        model: content of the artifact's file.
        inputs: the golden samples.
        answer_bytes: that the outputs of each sample have; what has another size is refused.
    """

    model: bytes
    inputs: Sequence[bytes] = ()
    answer_bytes: int = 0


class Exchange:
    """One job at a time, for one page: the first that says hello gets a key, and nobody else one after it.

    Args:
        silent_s: seconds without a word after which the page counts as gone.
        farewell_s: seconds in which it may hear of the end.
    """

    def __init__(self, silent_s: float = SILENT_S, farewell_s: float = FAREWELL_S) -> None:
        self._silent_s = silent_s
        self._farewell_s = farewell_s
        self._changed = Condition()
        self._key = ""
        self._hello: Hello | None = None
        self._heard = 0.0
        self._job: Job | None = None
        self._material = Material(b"")
        self._answers: dict[int, bytes] = {}
        self._done: Done | None = None
        self._over = False
        self._told = False

    def wait_for_page(self, seconds: float, waiting: Callable[[float], None], every: float = 60.0) -> Hello:
        """For the command: wait until a page says hello.

        Args:
            seconds: at most.
            waiting: told the seconds that are left, at the beginning and every so often.
            every: so often, in seconds.

        Raises:
            PocketfitError: none did.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while self._hello is None:
                left = end - time.monotonic()
                if left <= 0:
                    raise PocketfitError(
                        f"No browser opened the page within {seconds / 60:g} minutes. The phone has to be in the same "
                        "network and to reach this host's address: --address names another, --wait gives it longer."
                    )
                waiting(left)
                self._changed.wait(min(left, every))
            return self._hello

    def ask(self, job: Job, material: Material) -> tuple[Done, list[bytes]]:
        """For the command: have the page do a job, and wait until it is done.

        Args:
            job: what to do.
            material: what with.

        Returns:
            What the page says, and the outputs of each sample.

        Raises:
            PocketfitError: the page could not do it, is gone, or left samples out.
        """
        with self._changed:
            self._job, self._done = job, None
            self._material, self._answers = material, {}
            self._changed.notify_all()
            done = self._wait_for_done()
            self._job = None
            if done.error:
                raise PocketfitError(f"in the browser: {done.error}")
            asked = len(material.inputs)
            if len(self._answers) < asked:
                raise PocketfitError(f"the page answered {len(self._answers)} of {asked} golden samples")
            return done, [self._answers[index] for index in range(asked)]

    def close(self) -> None:
        """For the command: tell the page that all is over, and give it a moment to hear that."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            if self._key:
                self._changed.wait_for(lambda: self._told, self._farewell_s)

    def greet(self, key: str, hello: Hello) -> str:
        """For the page: come in.

        Args:
            key: that this page got before it was loaded anew; empty for one that is new.
            hello: what it says of itself.

        Raises:
            Refused: another page is in.
        """
        with self._changed:
            if self._key:
                self._check(key)
            self._key = self._key or secrets.token_urlsafe(16)
            self._hello, self._heard = hello, time.monotonic()
            self._changed.notify_all()
            return self._key

    def next_job(self, key: str, seconds: float) -> Job | None:
        """For the page: what to do, if there is something within so many seconds; a page loaded anew begins again.

        Raises:
            Refused: this is another page, or all is over.
        """
        with self._changed:
            self._hear(key)
            self._changed.wait_for(lambda: self._over or self._waiting() is not None, seconds)
            self._hear(key)
            return self._waiting()

    def hear(self, key: str) -> None:
        """For the page: it is still at it.

        Raises:
            Refused: this is another page, or all is over.
        """
        with self._changed:
            self._hear(key)

    def model(self, artifact: int) -> bytes:
        """For the page: the file of the artifact that it is to run.

        Raises:
            Refused: it is not to run that one.
        """
        with self._changed:
            waiting = self._waiting()
            if waiting is None or waiting.artifact != artifact:
                raise Refused(404, "this artifact is not being measured")
            return self._material.model

    def input(self, index: int) -> bytes:
        """For the page: a golden sample.

        Raises:
            Refused: there is none of that number.
        """
        with self._changed:
            if index >= len(self._material.inputs):
                raise Refused(404, "there is no such sample")
            return self._material.inputs[index]

    def answer_bytes(self, key: str, job: int) -> int:
        """For the page: how many the outputs for a sample have.

        Raises:
            Refused: nobody asked for them.
        """
        with self._changed:
            self._check_job(key, job)
            return self._material.answer_bytes

    def answer(self, key: str, job: int, index: int, outputs: bytes) -> None:
        """For the page: outputs for a golden sample.

        Raises:
            Refused: nobody asked for them, or they have another size.
        """
        with self._changed:
            self._check_job(key, job)
            if index >= len(self._material.inputs) or len(outputs) != self._material.answer_bytes:
                raise Refused(400, "nobody asked for such an answer")
            self._answers[index] = outputs

    def finish(self, key: str, job: int, done: Done) -> None:
        """For the page: what came of the job.

        Raises:
            Refused: nobody asked for it.
        """
        with self._changed:
            self._check_job(key, job)
            self._done = done
            self._changed.notify_all()

    def _waiting(self) -> Job | None:
        return self._job if self._done is None else None

    def _wait_for_done(self) -> Done:
        while self._done is None:
            left = self._heard + self._silent_s - time.monotonic()
            if left <= 0:
                raise PocketfitError(
                    f"the page has said nothing for {self._silent_s:g} s: it was closed, or the phone went to sleep. "
                    "Run this again, and keep the page in front and the screen on"
                )
            self._changed.wait(left)
        return self._done

    def _check(self, key: str) -> None:
        if not self._key or not secrets.compare_digest(key.encode(), self._key.encode()):
            raise Refused(403, "another browser is being measured")

    def _hear(self, key: str) -> None:
        self._check(key)
        self._heard = time.monotonic()
        if self._over:
            self._told = True
            self._changed.notify_all()
            raise Refused(410, "the command has ended")

    def _check_job(self, key: str, job: int) -> None:
        self._hear(key)
        waiting = self._waiting()
        if waiting is None or waiting.id != job:
            raise Refused(409, "nobody waits for this")
