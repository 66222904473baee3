"""A server that does the least any MCP server does with a message: decode the request, encode the answer.

Asked for `{"id": 1, "method": "tools/call", "params": {"bytes": 8000000}}` it answers with that much text. For
`relay`'s measurement of a large message, which the reading and writing of JSON is part of wherever MCP is spoken.
"""

from __future__ import annotations

import json
import sys

LINE = '    "name": "value",  // a line of a source file, as tools return it\n'


def main() -> None:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        text = LINE * (request["params"]["bytes"] // len(LINE))
        result = {"content": [{"type": "text", "text": text}]}
        answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})
        sys.stdout.buffer.write(answer.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
