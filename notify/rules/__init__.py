"""What is said where, and how often: pure functions of events and time."""
