"""The console's pages of this room: the review queue, what was built, and reviewers' keys. Importing it registers them.

Each shows rows and offers the acts of the topic modules, nothing else; who may act is theirs to say, and they say why
not. Nothing here holds a reviewer's private key, and there is no page that signs with one of the server's.
"""

from plugins_registry.admin import builds, customer_page, keys, revisions, rows, signing

__all__ = ["builds", "customer_page", "keys", "revisions", "rows", "signing"]
