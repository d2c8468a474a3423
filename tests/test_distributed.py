"""Training with several processes: the same losses as with torch.nn. Distributed tensors."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor, Shard, distribute_module, distribute_tensor, init_device_mesh

import convext

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


@pytest.mark.parametrize("transposed", (False, True), ids=("conv", "transposed"))
def test_distributed_tensors_are_torchs_to_compute(transposed: bool, tmp_path: Path) -> None:
    """They know how to shard torch's operators, and no others."""
    layer = nn.ConvTranspose2d(4, 4, 3) if transposed else nn.Conv2d(4, 4, 3)
    x = torch.randn(2, 4, 8, 8)
    distributed.init_process_group(
        "gloo", store=distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        mesh = init_device_mesh("cpu", (1,))
        results = []
        for model in (layer, convext.convert(copy.deepcopy(layer))):
            distribute_module(model, mesh)
            y = model(distribute_tensor(x, mesh, [Shard(0)]))
            assert isinstance(y, DTensor)
            y.sum().backward()
            results.append((y.full_tensor(), *(p.grad.full_tensor() for p in model.parameters())))
    finally:
        distributed.destroy_process_group()
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
