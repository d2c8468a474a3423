"""Training with several processes: the same losses as torch.nn under the same wrapper."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ("ddp", "fsdp"))
def test_two_processes_train_as_with_torch(sharding: str, tmp_path: Path) -> None:
    """examples/train_ddp.py as its user runs it, on handwritten digits."""
    losses = tmp_path / "losses.json"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = [ROOT / "examples" / "train_ddp.py", "--sharding", sharding, "--steps", "40", "--json", losses]
    done = subprocess.run(
        [*launch, *map(str, script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    torchs, ours = json.loads(losses.read_text()).values()
    assert len(ours) == 40 and ours[-1] < 1 < ours[0], "it learns"
    assert ours != torchs, "both were trained by the same kernels"
    assert ours == pytest.approx(torchs, rel=1e-4)
