"""Network modules: torsos turn observations into features, heads turn features into outputs."""
