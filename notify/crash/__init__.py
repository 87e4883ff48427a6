"""What happens when the program does not go on."""
