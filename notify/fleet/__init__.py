"""All strategies of an operator, seen from outside: who they are, how they are, and who is told of it."""
