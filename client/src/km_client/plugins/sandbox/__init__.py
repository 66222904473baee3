"""The sandbox: a manifest's permissions, turned into rules that the kernel enforces.

    permissions ──▶ files.py      which paths may be opened how      ──▶ landlock.py  one ruleset
                ──▶ calls.py      which system calls are refused     ──▶ seccomp.py   one BPF program
                ──▶ limits.py     how much of the machine
    plan.py         puts them together for `launcher`, which applies them in the child and becomes the plugin
    guarantees.py   says what holds on this kernel and what does not (`strict` refuses to start without it)
    notifier.py     answers and writes down what the plugin tried and was refused (`attempts.py`)

Linux only. Elsewhere `guarantees.py` reports everything as missing: `best-effort` starts the plugin with the rights of
the person who runs it and says so, `strict` does not start it. No step needs root; as root, all capabilities go.
"""
