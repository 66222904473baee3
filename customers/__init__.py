"""Floor 2: customer, tier, subscription, member, API key, token, lease, audit."""
