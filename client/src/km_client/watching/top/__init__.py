"""`km-client top`: what is being called now, on the whole screen. Only `app` and what it imports need textual."""
