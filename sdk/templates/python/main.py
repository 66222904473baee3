"""Starts my-plugin. `manifest.json` beside this file says what it may do."""

from km_plugin_sdk import serve
from plugin import MyPlugin

if __name__ == "__main__":
    serve(MyPlugin())
