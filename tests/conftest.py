"""Settings of the whole suite."""

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "large: needs gigabytes of memory; skipped where they are not free")


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts from the same seed and leaves the number of threads as it found it."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
