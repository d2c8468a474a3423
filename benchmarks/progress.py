"""Progress on the terminal, drawn between measurements and never during one."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.job import Job


def track(jobs: Sequence[Job], console: Console) -> Iterator[Job]:
    """The jobs one by one, with a bar, the time it took and an estimate of what is left; a log gets a line
    for each job."""
    if not console.is_terminal:
        for count, job in enumerate(jobs, 1):
            console.print(f"{count}/{len(jobs)} {job.name}", markup=False, highlight=False)
            yield job
        return
    bar = Progress(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.description}", markup=False),
        console=console,
        auto_refresh=False,  # else a thread draws, and takes time from what is measured
        speed_estimate_period=600,
    )
    with bar:
        task = bar.add_task("", total=len(jobs))
        for job in jobs:
            bar.update(task, description=job.name, refresh=True)
            yield job
            bar.advance(task)
        bar.update(task, description="done", refresh=True)
