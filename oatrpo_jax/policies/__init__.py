"""How an agent acts: networks, their first weights, the distributions that they stand for."""
