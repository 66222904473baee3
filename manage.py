#!/usr/bin/env python
"""Django's command line for the Kilometers service."""

import gc
import os
import sys

from django.core.management import ManagementUtility


class _Utility(ManagementUtility):
    """Django's. What it loads stays for good, and is looked through for garbage neither meanwhile nor ever after."""

    def fetch_command(self, subcommand):  # type: ignore[no-untyped-def]  # as Django's
        command = super().fetch_command(subcommand)
        gc.freeze()
        gc.enable()
        return command


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmcloud.settings")
    gc.disable()  # a fifth of a start
    _Utility(sys.argv).execute()
