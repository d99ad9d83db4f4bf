"""Tree search for any game, with any evaluator of its leaves."""
