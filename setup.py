"""Builds convext/_C.so. All that is static is in pyproject.toml; here is only the C++.

Everything is compiled for the baseline of x86-64, except the instruction-set files of csrc/kernels: they are
collected into one static library for each set, with its own flags, which the extension then links.
"""

import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

from setuptools import setup
from setuptools.command.build_clib import build_clib

TORCH = "2.13"

if sys.platform != "linux" or platform.machine() != "x86_64":
    raise SystemExit(f"convext: needs Linux on x86-64; this is {sys.platform} on {platform.machine()}.")
try:
    import torch
    from setuptools.modified import newer_group
    from torch.utils.cpp_extension import BuildExtension, CppExtension
except ImportError as error:
    raise SystemExit(
        f"convext: building needs PyTorch {TORCH} and setuptools 77 or later: {error}."
    ) from None
if not torch.__version__.startswith(TORCH + "."):
    raise SystemExit(f"convext: building needs PyTorch {TORCH}; found {torch.__version__}.")

CFLAGS = ["-std=c++20", "-O3", "-g0", "-fPIC", "-fopenmp", "-fvisibility=hidden", "-Wall"]
CFLAGS += ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]  # g++ 12 warns of its own AVX-512 intrinsics
INCLUDE = os.path.abspath("csrc")  # absolute: ninja compiles elsewhere
ISA_CFLAGS = {
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"],
}
SOURCES = sorted(glob("csrc/**/*.cpp", recursive=True))
HEADERS = sorted(glob("csrc/**/*.h", recursive=True))
JOBS = int(os.environ.setdefault("MAX_JOBS", str(len(os.sched_getaffinity(0)))))  # ninja's too, through torch


def isa_sources(isa: str) -> list[str]:
    return [source for source in SOURCES if Path(source).match(f"csrc/kernels/*/{isa}.cpp")]


def isa_libraries() -> list[tuple[str, dict]]:
    """One static library for each instruction set that has sources."""
    return [
        (f"convext_{isa}", {"sources": isa_sources(isa), "cflags": CFLAGS + flags, "include_dirs": [INCLUDE]})
        for isa, flags in ISA_CFLAGS.items()
        if isa_sources(isa)
    ]


class BuildLibraries(build_clib):
    """Compiles the sources that are out of date, several at once (setuptools: all of them, one by one)."""

    def build_libraries(self, libraries: list[tuple[str, dict]]) -> None:
        with ThreadPoolExecutor(JOBS) as pool:
            for job in [pool.submit(self._compile, *stale) for stale in self._stale(libraries)]:
                job.result()
        for name, info in libraries:
            objects = [self._object(source) for source in info["sources"]]
            archive = Path(self.compiler.library_filename(name, output_dir=self.build_clib))
            archive.unlink(missing_ok=True)  # it would keep the objects of sources that are gone
            self.compiler.create_static_lib(objects, name, output_dir=self.build_clib)

    def _stale(self, libraries: list[tuple[str, dict]]) -> list[tuple[str, dict]]:
        """The sources older than what they may include: their own folder, simd/ and setup.py's flags."""
        return [
            (source, info)
            for _, info in libraries
            for source in info["sources"]
            if newer_group(
                [source, *glob(f"{os.path.dirname(source)}/*.h"), *glob("csrc/simd/*.h"), "setup.py"],
                self._object(source),
            )
        ]

    def _object(self, source: str) -> str:
        return self.compiler.object_filenames([source], output_dir=self.build_temp)[0]

    def _compile(self, source: str, info: dict) -> None:
        self.compiler.compile(
            [source],
            output_dir=self.build_temp,
            include_dirs=info["include_dirs"],
            extra_postargs=info["cflags"],
        )


class Build(BuildExtension):
    """Builds the libraries first, and records the torch that the extension is built against."""

    def run(self) -> None:
        compiler = os.environ.get("CXX", "g++").split()[0]
        if shutil.which(compiler) is None:
            raise SystemExit(f"convext: building needs a C++20 compiler; '{compiler}' is not found.")
        self.run_command("build_clib")
        super().run()
        package = Path(self.get_ext_fullpath("convext._C")).parent
        info = f'"""Written by setup.py."""\n\nTORCH_VERSION = "{torch.__version__}"\n'
        (package / "_build_info.py").write_text(info)


setup(
    libraries=isa_libraries(),
    ext_modules=[
        CppExtension(
            "convext._C",
            [source for source in SOURCES if not any(source in isa_sources(isa) for isa in ISA_CFLAGS)],
            include_dirs=[INCLUDE],
            extra_compile_args=CFLAGS,
            extra_link_args=["-fopenmp"],
            depends=HEADERS,
        )
    ],
    cmdclass={"build_clib": BuildLibraries, "build_ext": Build},
)
