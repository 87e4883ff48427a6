"""Other people's interfaces, spoken by ours."""
