"""Other programs' configurations: which MCP servers they start, and how to have `km-client monitor` start them instead.

    clients      who keeps a configuration, where, and under which keys: the table
    documents    JSONC, TOML and YAML as trees that know the place of each value in the text
    entries      what one server's entry says: a command, a URL, or nothing that can be wrapped
    invocation   the command line of a wrapped server: written, and read back
    plan         one file's text with our wrapping, and without it
    backup       what the file was before, and each entry, so that `unwrap` gives back the bytes
    files        one file: read, and replaced at once and only if nobody else changed it
    hiding       a file's text as it may be shown: without what is secret in it
    wrapper      all of that for one file: what `wrap`, `unwrap`, `status` and `doctor` call

No file is ever written out from parsed data: an edit replaces the characters of a value, and all others stay.
"""
