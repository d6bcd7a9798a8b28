"""A thread that runs a model on the latest frame of a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Thread
from time import monotonic_ns
from types import TracebackType
from typing import Generic, Self, TypeVar

from pocketfit.errors import InputError
from pocketfit.policy.frames import BUFFERS, EVERY_FRAME, FrameState, Outcome, Pace, Step, arrive, finish
from pocketfit.policy.state import Action, Decision

__all__ = ["FrameRunner"]

Buffer = TypeVar("Buffer")
Answer = TypeVar("Answer")


class FrameRunner(Generic[Buffer, Answer]):
    """Runs what `frames` decides, on a thread of its own. Frames are offered by one thread.

    Args:
        run: the model, handed the buffer of a frame.
        use: handed the frame's number and its answer, on the same thread; not called for warm-ups and answers that a
            hand-over threw away.
        buffers: three, which the camera and the model take in turns.
        pace: of the camera stream.

    Raises:
        InputError: there are not three buffers.
    """

    def __init__(
        self,
        run: Callable[[Buffer], Answer],
        use: Callable[[int, Answer], None],
        buffers: Sequence[Buffer],
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        if len(buffers) != BUFFERS:
            raise InputError(f"{len(buffers)} buffers were given; {BUFFERS} are needed: filled, waiting and run.")
        self._run, self._use, self._buffers, self._pace = run, use, buffers, pace
        self._state, self._next = FrameState(), Step(Outcome.SKIP)
        self._changed, self._closed = Condition(), False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, daemon=True, name="pocketfit frames")
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Frames that the model has and has not answered."""
        return self._state.in_flight

    @property
    def frame_us(self) -> int | None:
        """Time of an inference at present, in microseconds; None while unknown."""
        return self._state.frame_us or None

    def offer(self, fill: Callable[[Buffer], None], decision: Decision = EVERY_FRAME) -> Step:
        """Tell of a frame; never waits for the model.

        Args:
            fill: writes the frame into a buffer; not called for a frame that the policy leaves out.
            decision: the policy's for this frame.

        Raises:
            Exception: what the model or the use of its answer raised before.
        """
        if self._error is not None:
            raise self._error
        if decision.action in (Action.INFER, Action.WARM_UP):
            fill(self._buffers[self._state.fill])
        with self._changed:
            self._state, step = arrive(self._pace, self._state, _now_us(), decision)
            if step.start >= 0:
                self._next = step
                self._changed.notify()
        return step

    def close(self) -> None:
        """Wait for the frame under way and the one behind it, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        try:
            while (step := self._taken()) is not None:
                while step.start >= 0:
                    step = self._ran(step)
        except BaseException as error:
            self._error = error

    def _taken(self) -> Step | None:
        """The next frame to run; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._next.start >= 0 or self._closed)
            step, self._next = self._next, Step(Outcome.SKIP)
        return step if step.start >= 0 else None

    def _ran(self, step: Step) -> Step:
        answer = self._run(self._buffers[step.buffer])
        with self._changed:
            self._state, after = finish(self._pace, self._state, _now_us())
        if after.outcome is Outcome.USE:
            self._use(step.start, answer)
        return after


def _now_us() -> int:
    return monotonic_ns() // 1000
