"""What reaches one destination each."""
