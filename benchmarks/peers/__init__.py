"""Other libraries, each in a process of its own: their threads would disturb PyTorch's in one process.

Pools of threads spin for a while when their work is done, to be ready for more, and take the cores from
whoever is next: PyTorch was seen to run four times slower. So PyTorch runs in a child process too, and all
children but the one whose turn it is are stopped (SIGSTOP).

A module `with_<library>` has one function,

    prepare(layer, arrays, pass_, threads, frozen) -> a call that returns the results, or None

which computes a pass from arrays in NCHW to arrays in NCHW: conversions of the layout are part of the work.
`frozen` means that weights are constants, which a library may rearrange ahead of time; otherwise they are
inputs of each call, as in training.
"""
