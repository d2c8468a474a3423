"""What the tests share: problems, reference results, checks, and memory that faults when overrun."""
