"""Train a small CNN on scikit-learn's handwritten digits with several processes, torch.nn beside convext.

    torchrun --nproc-per-node 2 examples/train_ddp.py [--sharding ddp|fsdp] [--steps 60] [--json FILE]

Each process works on its own share of every batch; DistributedDataParallel (or fully_shard, FSDP2) averages
the gradients over gloo. The same model is trained twice from the same start, as it is and converted; printed
are the losses of both and their largest difference. Each process uses its share of the cores.
"""

import argparse
import copy
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import convext

BATCH = 64  # images of each process


def small_cnn() -> nn.Sequential:
    """Class scores of digits: (n, 1, 8, 8) -> (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32),
        nn.Conv2d(32, 64, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
    )


def shares(steps: int, rank: int, processes: int) -> list[tuple[Tensor, Tensor]]:
    """This process's images and labels of every step."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(digits.target)
    generator = torch.Generator().manual_seed(1)
    draws = [torch.randint(len(images), (processes, BATCH), generator=generator)[rank] for _ in range(steps)]
    return [(images[draw], labels[draw]) for draw in draws]


def wrapped(model: nn.Module, sharding: str) -> nn.Module:
    """The model, with its gradients averaged over the processes."""
    if sharding == "ddp":
        return DistributedDataParallel(model)
    mesh = dist.init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model.children():
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def train(model: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
    """The loss of every step, averaged over the processes."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        dist.all_reduce(mean)
        losses.append(mean.item() / dist.get_world_size())
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sharding", choices=("ddp", "fsdp"), default="ddp")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path, help="write both lists of losses to this file")
    options = parser.parse_args()

    dist.init_process_group("gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    torch.manual_seed(0)
    plain = small_cnn()
    converted = convext.convert(copy.deepcopy(plain))
    batches = shares(options.steps, rank, processes)
    losses = {
        name: train(wrapped(model, options.sharding), batches)
        for name, model in (("torch.nn", plain), ("convext", converted))
    }
    if rank == 0:
        for step in range(0, options.steps, max(1, options.steps // 6)):
            print(f"step {step:4}  " + "  ".join(f"{name} {loss[step]:.6f}" for name, loss in losses.items()))
        difference = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
        print(f"{processes} processes, {options.sharding}: the losses differ by at most {difference:.1e}")
        if options.json:
            options.json.write_text(json.dumps(losses))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    # FSDP2's caches keep the process group, and so gloo's threads, beyond destroy_process_group(). A
    # thread that lets go of its last tensor while the interpreter is shut down aborts the process
    # (PyTorch 2.13: one run in ten, with torch.nn's layers or convext's). All is done and written here,
    # so it ends without the shutdown.
    sys.stdout.flush()
    os._exit(0)
