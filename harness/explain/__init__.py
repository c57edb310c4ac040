"""From a failed check to what was said on the wire: `meterstorm explain`."""
