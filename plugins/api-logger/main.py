"""Starts api-logger."""

from api_logger import ApiLogger
from km_plugin_sdk import serve

if __name__ == "__main__":
    serve(ApiLogger())
