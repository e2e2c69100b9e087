"""The leaderboard: one line for each cell of method, attack and seed; ranking, page and table are made of the lines."""
