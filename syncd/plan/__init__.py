"""What is to be done, as pure functions of what is known: keys, decisions, moves, guards, waits."""
