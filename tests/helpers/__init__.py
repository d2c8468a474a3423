"""What the tests share: problems, reference results, checks, and memory that faults where it must not be touched."""
