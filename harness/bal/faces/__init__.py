"""What other systems see of a battery layer: networked batteries and SunSpec batteries."""
