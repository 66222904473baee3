"""A program of its own: it applies the sandbox to itself and becomes the plugin.

    start.py         the orders, every step of them, and what the host is told
    steps.py         resource limits, capabilities, Landlock, seccomp
    private_root.py  a root directory with nothing else in it      (imported where the plan has one)
    guard.py         the parent of a plugin that may have children (imported where the plan has one)
    python.py        a Python plugin: what it imports, then its file
    kernel.py        calls the standard library has no function for

Standard library only, and little of it: it starts in 15 ms, of which importing `json`, `socket` and `pathlib` would be
20 more. What it does was decided in `sandbox/plan.py`.
"""
