"""python -m benchmarks"""

import sys

from benchmarks import options


def main() -> int:
    """Runs the command line; returns the exit status."""
    chosen = options.parse()
    options.set_environment(chosen)
    from benchmarks.run import run  # imports torch

    return run(chosen)


if __name__ == "__main__":
    sys.exit(main())
