"""Django's PostgreSQL, waited for with patience that ends: `ENGINE = "core.postgresql"`."""
