"""Go source as words, without comments and with its strings told apart: enough to see what is imported and called.

file = GoFile.read("main.go", text)
file.imports            [Import(name="exec", path="os/exec", line=4)]
file.uses("os", …)      [(12, "os.WriteFile"), …]: by the name the import gave the package
file.directives         [(1, "//go:linkname a b")]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<raw>`[^`]*(?:`|\Z))
      | (?P<text>"(?:\\.|[^"\\\n])*"?)
      | (?P<rune>'(?:\\.|[^'\\\n])+'?)
      | (?P<word>[^\W\d]\w*)
      | (?P<line>\n)
      | (?P<mark>[^\s\w])""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Import:
    """`name` is what the file calls the package; `.` when its names are taken as they are, `_` for none."""

    name: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class GoFile:
    name: str
    text: str
    tokens: tuple[Token, ...]  # without comments and line ends
    imports: tuple[Import, ...]
    directives: tuple[tuple[int, str], ...]

    @classmethod
    def read(cls, name: str, text: str) -> GoFile:
        every = list(_tokens(text))
        code = tuple(token for token in every if token.kind not in {"comment", "line"})
        directives = tuple((t.line, t.text) for t in every if t.kind == "comment" and t.text.startswith("//go:"))
        return cls(name, text, code, tuple(_imports(code)), directives)

    def uses(self, path: str, functions: Collection[str]) -> Iterator[tuple[int, str, Token | None]]:
        """(line, `os.Getenv`, the first word of its arguments) for each of `functions` of the package `path`."""
        names = {each.name for each in self.imports if each.path == path}
        for one, dot, other, *rest in zip(*(self.tokens[start:] for start in range(3)), self.tokens[3:], strict=False):
            if dot.text == "." and one.text in names and other.text in functions:
                argument = self._after(other) if rest and rest[0].text == "(" else None
                yield other.line, f"{path}.{other.text}", argument

    def _after(self, token: Token) -> Token | None:
        position = next((i for i, each in enumerate(self.tokens) if each is token), len(self.tokens))
        return self.tokens[position + 2] if position + 2 < len(self.tokens) else None


def _tokens(text: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        yield Token(match.lastgroup or "", match.group(), line)
        line += match.group().count("\n")


def _imports(tokens: tuple[Token, ...]) -> Iterator[Import]:
    position = 0
    while position < len(tokens):
        if tokens[position].text != "import" or tokens[position].kind != "word":
            if tokens[position].text in {"func", "type", "var", "const"}:
                return  # imports come first
            position += 1
            continue
        position += 1
        is_group = position < len(tokens) and tokens[position].text == "("
        name = ""
        for token in tokens[position + is_group :]:
            position += 1
            if token.kind in {"text", "raw"}:
                path = token.text.strip('"`')
                yield Import(name or _base(path), path, token.line)
                name = ""
                if not is_group:
                    break
            elif token.text == ")":
                break
            elif token.kind == "word" or token.text == ".":
                name = token.text


def _base(path: str) -> str:
    """What a package is called by default: its last part, without a major version."""
    parts = path.split("/")
    if len(parts) > 1 and re.fullmatch(r"v\d+", parts[-1]):
        parts.pop()
    return parts[-1].partition(".")[0] if parts[-1].startswith("gopkg") else parts[-1]
