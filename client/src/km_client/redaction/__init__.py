"""What secrets look like, and where they hide: tables and pure functions beneath `km_client.agent.redaction`.

search     every marker of every pattern, found in one pass over the bytes
escapes    JSON's escapes: a view without the needless ones, and which bytes belong together
pattern    the shape of a table's row
providers  keys with a shape of their own: AWS, GitHub, Slack, …
carriers   what carries a secret: headers, addresses, connection strings, private keys
named      a value with the name of a secret before it: `password: …`, `"api_key": "…"`, `export FOO_TOKEN=…`
plausible  whether a value with such a name is a secret at all, or a placeholder, a type, a piece of program text
"""
