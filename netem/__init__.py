"""Links: profiles, the built-in shaper, seeded draws."""
