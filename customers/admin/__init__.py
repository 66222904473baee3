"""The admin console's pages of this room: each shows rows and offers the acts of the topic modules, nothing else.

A change made here is in the audit log and in force within a minute. Importing this registers the pages.
"""

from customers.admin import catalog, customers, device_logins, keys, machines, people

__all__ = ["catalog", "customers", "device_logins", "keys", "machines", "people"]
