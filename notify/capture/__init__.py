"""From the standard library's logging to the intake."""
