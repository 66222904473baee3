"""One verb per file: its docstring is its `--help`; it offers `add_arguments(parser)` and `run(args) -> int`."""
