"""A run: measure the machine, then the jobs one by one, then show and write what was found."""

import argparse
import os
import shlex
import sys
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import comparison, limits, machine, summary, tables
from benchmarks.job import Setting
from benchmarks.kinds import KINDS, layers, threads
from benchmarks.peers import contest
from benchmarks.progress import track
from benchmarks.results import Results

NOISE_SAMPLES = 12
INTERRUPTED = 130  # the exit status that shells give to Ctrl-C


def run(options: argparse.Namespace) -> int:
    """Carries out the command line; returns the exit status."""
    console = Console()
    if not console.is_terminal:
        console.width = 140
    old = Results.read_json(options.compare) if options.compare else None  # tell at once if it cannot be read
    if options.stored:
        results, status = Results.read_json(options.stored), 0
        write(options, results, old, console)
    else:
        results, status = measured(options, old, console)
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


def measured(options: argparse.Namespace, old: Results | None, console: Console) -> tuple[Results, int]:
    """Measures, and writes what there is even if it is interrupted; with the exit status."""
    results = Results(command_line(), machine.describe())
    console.print(tables.machine(results))
    try:
        measure(options, results, console)
        results.complete = True
        return results, 0
    except KeyboardInterrupt:
        console.print(f"interrupted: {len(results.rows)} rows were measured, and are kept")
        return results, INTERRUPTED
    finally:
        write(options, results, old, console)


def command_line() -> str:
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def measure(options: argparse.Namespace, results: Results, console: Console) -> None:
    cores = len(os.sched_getaffinity(0))
    counts = {
        kind: options.threads or (threads.counts(cores) if kind == "threads" else [torch.get_num_threads()])
        for kind in options.benchmark
    }
    options.peers, missing = contest.installed(options.peers)
    if missing:
        console.print(f"not installed, and so left out: {', '.join(missing)}")
    timed_layers = {"layers", "threads"} & set(options.benchmark)
    if timed_layers:
        console.print("measuring the machine ...")
        needed = sorted({count for kind in timed_layers for count in counts[kind]})
        results.limits = limits.measure(needed, [options.dtype]).measured
        console.print(tables.limits(results))
    setting = {kind: Setting(options, counts[kind], limits.Limits(results.limits)) for kind in counts}
    if timed_layers:
        kind = sorted(timed_layers)[0]
        subjects = layers.chosen(setting[kind])
        for subject in subjects[:: max(1, len(subjects) // NOISE_SAMPLES)][:NOISE_SAMPLES]:
            results.noise.append(layers.noise(subject, options.passes[0], setting[kind]))
    jobs = [job for kind in options.benchmark for job in KINDS[kind](setting[kind])]
    for job in track(jobs, console):
        row = job.measure()
        if row is not None:
            results.rows.append(row)


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
