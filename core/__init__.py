"""Floor 1: what every app stands on and that knows no app: API errors and their handler, clock, ids, paging."""
