"""Running code in a new Python process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path


def run_python(
    code: str, *arguments: str, cwd: Path | None = None, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What code prints, in a process that finds modules where this one does; it must exit with `status`."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stderr}"
    return done
