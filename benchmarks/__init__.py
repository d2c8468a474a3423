"""How fast convext is, beside torch.nn and others, and how far from what the machine can do.

    python -m benchmarks layers --suite quick --html report.html

README.md has the method and how to read the results.
"""
