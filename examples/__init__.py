"""What convext is for, shown on real data: `python -m examples.demo`."""
