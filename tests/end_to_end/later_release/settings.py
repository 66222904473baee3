"""The service's settings, with the app of a later release."""

from kmcloud.settings import *  # noqa: F403 - all of them
from kmcloud.settings import INSTALLED_APPS as BEFORE

INSTALLED_APPS = [*BEFORE, "tests.end_to_end.later_release"]
