"""The pages under `/app/settings`: one's own account, the organisation's people, its keys, its usage, its audit log."""
