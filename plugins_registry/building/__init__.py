"""From a reviewed source to a package: the payload once, a customer's package of it in milliseconds."""
