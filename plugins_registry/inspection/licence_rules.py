"""Whether the manifest's licence is one, and the source holds its text.

"MIT" and a LICENSE that begins "MIT License"          nothing to say
"MIT" and the text of the GPL                          `licence-differs`
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.source_tree import SourceTree

CHECK = "licence"
_FILES = ("LICENSE", "LICENCE", "LICENSE.txt", "LICENSE.md", "COPYING", "COPYING.txt")
# SPDX identifier → words that its text has and the others' do not; white space counts as one space.
TEXTS: dict[str, str] = {
    "MIT": "permission is hereby granted, free of charge, to any person obtaining a copy",
    "Apache-2.0": "apache license version 2.0",
    "BSD-2-Clause": "redistribution and use in source and binary forms",
    "BSD-3-Clause": "neither the name of",
    "ISC": "permission to use, copy, modify, and/or distribute this software for any purpose",
    "MPL-2.0": "mozilla public license version 2.0",
    "GPL-2.0": "gnu general public license version 2",
    "GPL-3.0": "gnu general public license version 3",
    "LGPL-2.1": "gnu lesser general public license version 2.1",
    "LGPL-3.0": "gnu lesser general public license version 3",
    "AGPL-3.0": "gnu affero general public license version 3",
    "Unlicense": "this is free and unencumbered software released into the public domain",
    "0BSD": "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",
    "CC0-1.0": "cc0 1.0 universal",
    "EPL-2.0": "eclipse public license - v 2.0",
    "EUPL-1.2": "european union public licence v. 1.2",
    "Zlib": "this software is provided 'as-is', without any express or implied warranty",
    "BSL-1.0": "boost software license - version 1.0",
    "Artistic-2.0": "the artistic license 2.0",
    "PostgreSQL": "permission to use, copy, modify, and distribute this software and its documentation for any purpose",
    "BlueOak-1.0.0": "blue oak model license",
}
_SUFFIX = re.compile(r"(?:-only|-or-later|\+)$")
_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.-]+|Proprietary|NOASSERTION|NONE", re.IGNORECASE)
_OPERATORS = frozenset({"AND", "OR", "WITH"})


def check(tree: SourceTree, expression: str) -> Iterator[Finding]:
    """`expression` is the manifest's `license`."""
    known, unknown = _identifiers(expression)
    for name in unknown:
        severity: Severity = "info" if _OWN.fullmatch(name) else "medium"
        hint = "https://spdx.org/licenses lists them; `LicenseRef-…` names one of your own"
        yield _about(
            "unknown-licence", severity, f"`{name}` is no SPDX identifier that is known here", hint, expression
        )
    file = next((name for name in _FILES if tree.has(name)), None)
    if file is None:
        yield _about(
            "licence-file-missing", "medium", "holds no LICENSE", "add the licence's text as `LICENSE`", expression
        )
        return
    text = re.sub(r"[\s*#=_-]+", " ", tree.text(file).lower().replace(",", ","))
    wanted = [name for name in known if _squeezed(TEXTS[name]) in text]
    if known and not wanted:
        message = f"`{file}` is not the text of `{expression}`, which the manifest says"
        yield _about("licence-differs", "medium", message, "make the two agree", expression, file)


def _identifiers(expression: str) -> tuple[list[str], list[str]]:
    """(known, unknown) of an SPDX expression; an exception after WITH is neither."""
    words = re.sub(r"[()]", " ", expression).split()
    names = [
        word for before, word in zip(["", *words], words, strict=False) if word not in _OPERATORS and before != "WITH"
    ]
    known = [plain for name in names if (plain := _SUFFIX.sub("", name)) in TEXTS]
    return known, [name for name in names if _SUFFIX.sub("", name) not in TEXTS]


def _squeezed(text: str) -> str:
    return re.sub(r"[\s*#=_-]+", " ", text)


def _about(rule: str, severity: Severity, message: str, hint: str, text: str, file: str = "manifest.json") -> Finding:
    return finding(CHECK, rule, severity, message, hint, file=file, text=text)
