"""Floor 3: ingestion, event store, rollups, retention, queries."""
