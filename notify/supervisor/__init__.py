"""`notify run`: the parent process that outlives the program and says how it ended."""
