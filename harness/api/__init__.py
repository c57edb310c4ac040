"""What the HTTP APIs of the reference systems share."""
