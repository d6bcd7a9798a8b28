"""What a run is doing, on standard error, so that standard output stays a table or JSON."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

__all__ = ["Progress"]


class Progress:
    """Shows a bar for each running stage and leaves a line for each finished one; a `pocketfit.pipeline.Watcher`."""

    def __init__(self, console: Console) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self.bars = Bars(*columns, *times, console=console, transient=True)
        self.console = console
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bars.stop()

    def start(self, stage: str, total: int | None) -> None:
        """Show the stage; again with another total when that becomes known."""
        if stage in self.tasks:
            self.bars.update(self.tasks[stage], total=total)
        else:
            self.tasks[stage] = self.bars.add_task(stage, total=total)

    def advance(self, stage: str, done: int) -> None:
        """Move the stage's bar."""
        if stage in self.tasks:
            self.bars.update(self.tasks[stage], completed=done)

    def finish(self, stage: str, seconds: float, reused: bool) -> None:
        """Replace the stage's bar by a line."""
        if stage in self.tasks:
            self.bars.remove_task(self.tasks.pop(stage))
        took = "stored" if reused else f"{seconds:.1f} s"
        self.console.print(f"  {stage:<32} {took:>9}", markup=False, highlight=False, style="dim" if reused else "")

    def say(self, sentence: str) -> None:
        """Print it between the lines."""
        self.console.print(sentence, markup=False, highlight=False)
