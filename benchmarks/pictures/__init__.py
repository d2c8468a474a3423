"""The pictures of a result, each drawn if there is something to show in it."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.pictures import memory, models, peers, roofline, scaling, speedups
from benchmarks.pictures.picture import Picture
from benchmarks.results import Results

PICTURES = {
    "speedups": speedups.draw,
    "roofline": roofline.draw,
    "models": models.draw,
    "overhead": models.draw_overhead,
    "memory": memory.draw,
    "threads": scaling.draw,
    "peers": peers.draw,
}


def draw(results: Results) -> dict[str, Picture]:
    """The pictures by name."""
    drawn = {name: function(results) for name, function in PICTURES.items()}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def save(pictures: Mapping[str, Picture], folder: Path) -> list[Path]:
    """Writes each picture as PNG and as SVG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, picture in pictures.items():
        for suffix in ("png", "svg"):
            paths.append(folder / f"{name}.{suffix}")
            picture.write(paths[-1], suffix)
    return paths
