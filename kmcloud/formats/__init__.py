"""How Django writes moments, by language: `FORMAT_MODULE_PATH`."""
