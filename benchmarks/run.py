"""A run: measure the machine, then the jobs one by one, then show and write what was found."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import comparison, limits, machine, summary, tables
from benchmarks.job import Job, Setting
from benchmarks.kinds import KINDS, layers, threads
from benchmarks.peers import contest
from benchmarks.progress import track
from benchmarks.results import Results

NOISE_SAMPLES = 12
WRONG_INPUT, INTERRUPTED = 2, 130  # exit statuses: argparse's, and what shells give to Ctrl-C


def run(options: argparse.Namespace) -> int:
    """Carries out the command line; returns the exit status."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    try:
        old = Results.read_json(options.compare) if options.compare else None
        stored = Results.read_json(options.stored) if options.stored else None
        settings, jobs = planned(options)
    except (OSError, ValueError) as error:
        console.print(f"benchmarks: {error}", markup=False)
        return WRONG_INPUT
    if stored is not None:
        results, status = stored, 0
        write(options, results, old, console)
    else:
        results, status = measured(options, settings, jobs, old, console)
    for grid in summary.grids(results):
        console.print(tables.shown(grid))
    console.print(summary.noise(results))
    if old is not None:
        console.print(tables.shown(summary.comparison(comparison.changes(old, results))))
    if options.fail_slower is not None and status == 0:
        slow = comparison.failures(results, old, options.fail_slower)
        for row in slow:
            console.print(
                f"slower than {options.fail_slower}: {row.network} {row.name} {row.pass_}", markup=False
            )
        status = int(bool(slow))
    return status


def planned(options: argparse.Namespace) -> tuple[dict[str, Setting], list[Job]]:
    """What is to be measured; the limits of the machine are filled in before the first job."""
    cores = len(os.sched_getaffinity(0))
    machine_limits = limits.Limits([])
    settings = {}
    for kind in options.benchmark:
        counts = threads.counts(cores) if kind == "threads" else [torch.get_num_threads()]
        settings[kind] = Setting(options, options.threads or counts, machine_limits)
    return settings, [job for kind, setting in settings.items() for job in KINDS[kind](setting)]


def measured(
    options: argparse.Namespace,
    settings: Mapping[str, Setting],
    jobs: Sequence[Job],
    old: Results | None,
    console: Console,
) -> tuple[Results, int]:
    """Measures, and writes what there is even if it is interrupted; with the exit status."""
    results = Results(command_line(), machine.describe())
    console.print(tables.machine(results))
    options.peers, missing = contest.installed(options.peers)
    if missing:
        console.print(f"not installed, and so left out: {', '.join(missing)}")
    try:
        measure_machine(
            [settings[kind] for kind in ("layers", "threads") if kind in settings], results, console
        )
        for job in track(jobs, console):
            results.rows.append(job.measure())
        results.complete = True
        return results, 0
    except KeyboardInterrupt:
        console.print(f"interrupted: {len(results.rows)} rows were measured, and are kept")
        return results, INTERRUPTED
    finally:
        write(options, results, old, console)


def command_line() -> str:
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def measure_machine(settings: Sequence[Setting], results: Results, console: Console) -> None:
    """The limits that layers are held against, and the noise floor; nothing if no layers are measured."""
    if not settings:
        return
    console.print("measuring the machine ...")
    options, machine_limits = settings[0].options, settings[0].limits
    counts = sorted({count for setting in settings for count in setting.threads})
    machine_limits.measured.extend(limits.measure(counts, [options.dtype]).measured)
    results.limits = machine_limits.measured
    console.print(tables.limits(results))
    subjects = layers.chosen(settings[0])
    for subject in subjects[:: max(1, len(subjects) // NOISE_SAMPLES)][:NOISE_SAMPLES]:
        results.noise.append(layers.noise(subject, options.passes[0], settings[0]))


def write(options: argparse.Namespace, results: Results, old: Results | None, console: Console) -> None:
    """The files that were asked for."""
    written: list[Path] = []
    for path in filter(None, (options.json, options.csv, options.markdown, options.html)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        results.write_json(options.json)
        written.append(options.json)
    if options.csv:
        results.write_csv(options.csv)
        written.append(options.csv)
    if options.markdown:
        options.markdown.write_text(summary.markdown(results))
        written.append(options.markdown)
    if options.plot or options.html:
        from benchmarks import html, pictures  # matplotlib takes a second

        drawn = pictures.draw(results)
        if options.plot:
            written += pictures.save(drawn, options.plot)
        if options.html:
            html.write(results, drawn, old, options.html)
            written.append(options.html)
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False)
