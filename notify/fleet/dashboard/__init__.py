"""The page that lists all strategies of an operator: a web server of its own, that shows what was seen of them."""
