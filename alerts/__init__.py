"""Rules about what is recorded, the incidents they open, and the letters and webhooks that tell of them."""
