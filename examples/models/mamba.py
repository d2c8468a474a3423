"""A Mamba block: a short causal depthwise convolution before a selective state space model.

Gu and Dao: Mamba: linear-time sequence modeling with selective state spaces. 2023, arXiv:2312.00752
(section 3, figure 3 and algorithm 2). The recurrence runs step by step in plain PyTorch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MambaBlock(nn.Module):
    """(n, l, width) -> (n, l, width); an output depends on the present and the past only.

    >>> MambaBlock(width=32)(torch.zeros(2, 10, 32)).shape
    torch.Size([2, 10, 32])
    """

    def __init__(self, width: int = 768, expansion: int = 2, states: int = 16, kernel: int = 4) -> None:
        super().__init__()
        inner, rank = expansion * width, -(-width // 16)
        self.widen = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, kernel, padding=kernel - 1, groups=inner)
        self.select = nn.Linear(inner, rank + 2 * states, bias=False)
        self.step = nn.Linear(rank, inner)
        self.log_decay = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.direct = nn.Parameter(torch.ones(inner))
        self.narrow = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.widen(x).chunk(2, dim=-1)
        u = F.silu(self.conv(u.mT)[..., : x.shape[1]].mT)
        y: Tensor = self.narrow((self.scan(u) + self.direct * u) * F.silu(gate))
        return y

    def scan(self, u: Tensor) -> Tensor:
        """The state space model: (n, l, inner) -> (n, l, inner)."""
        states = self.log_decay.shape[1]
        step, b, c = self.select(u).split([self.step.in_features, states, states], dim=-1)
        step = F.softplus(self.step(step))
        decay = torch.exp(-step[..., None] * self.log_decay.exp())
        moved = (step * u)[..., None] * b[:, :, None]
        state = torch.zeros_like(moved[:, 0])
        outputs = []
        for t in range(u.shape[1]):
            state = decay[:, t] * state + moved[:, t]
            outputs.append((state * c[:, t, None]).sum(-1))
        return torch.stack(outputs, dim=1)
