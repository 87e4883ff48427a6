"""From the caller's thread to a backend's: intake, dispatcher, lanes."""
