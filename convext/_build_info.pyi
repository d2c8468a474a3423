# Written by setup.py when the extension is built.
TORCH_VERSION: str
