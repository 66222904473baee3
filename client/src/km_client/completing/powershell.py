"""The script for PowerShell 5.1 and later, which completes files by itself where this offers nothing."""

from __future__ import annotations

from collections.abc import Iterable

from km_client.completing.grammar import PROGRAMS, Command, filled, verbs

_TEMPLATE = """\
# For $PROFILE: km-client completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName @PROGRAMS@ -ScriptBlock {
  param($word, $ast, $position)
  $offered = @{
@OFFERED@
  }
  $values = @{
@VALUES@
  }
  $before = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { "$_" })
  if ($before -contains '--') { return }
  $found = @(@VERBS@, '--help', '--version')
  $command = ''
  if ($before.Count -gt 2 -and $offered.ContainsKey("$($before[1]) $($before[2])")) {
    $command = "$($before[1]) $($before[2])"
  } elseif ($before.Count -gt 1) { $command = $before[1] }
  if ($command) { $found = @($offered[$command]) }
  if (@(@SESSIONS@) -contains $command -and -not $word.StartsWith('-')) {
    $found += @(& $before[0] sessions ids 2>$null)
  }
  if ($values.ContainsKey("$command $($before[-1])")) { $found = @($values["$command $($before[-1])"]) }
  if (@(@ASKED@) -contains "$command $($before[-1])") { $found = @(& $before[0] sessions ids 2>$null) }
  $found | Where-Object { $_ -and $_.StartsWith($word) } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
"""


def script(commands: list[Command]) -> str:
    parts = {
        "PROGRAMS": _list(PROGRAMS),
        "OFFERED": "\n".join(f"    {_quoted(' '.join(each.words))} = @({_list(each.offered())})" for each in commands),
        "VALUES": "\n".join(_values(commands)),
        "SESSIONS": _list(" ".join(each.words) for each in commands if each.sessions),
        "ASKED": _list(
            " ".join((*each.words, flag))
            for each in commands
            for option in each.options
            if option.takes == "session"
            for flag in option.flags
        ),
        "VERBS": _list(each.words[0] for each in verbs(commands)),
    }
    return filled(_TEMPLATE, parts)


def _values(commands: Iterable[Command]) -> Iterable[str]:
    """What follows each option that takes something; an empty list has PowerShell offer files."""
    for each in commands:
        for option in each.options:
            for flag in option.flags if option.takes else ():
                yield f"    {_quoted(' '.join((*each.words, flag)))} = @({_list(option.choices)})"


def _list(words: Iterable[str]) -> str:
    return ", ".join(_quoted(word) for word in words)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
