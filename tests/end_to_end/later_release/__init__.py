"""What a later release might bring: an app whose migrations change tables that events go through all the time."""
