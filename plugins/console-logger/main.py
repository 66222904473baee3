"""Starts console-logger."""

from console_logger import ConsoleLogger
from km_plugin_sdk import serve

if __name__ == "__main__":
    serve(ConsoleLogger())
