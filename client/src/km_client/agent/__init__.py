"""The per-user background process: reads journals, understands, redacts, logs, ships. One at a time, on demand."""
