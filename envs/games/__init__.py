"""Games: native rules as numba kernels (`native`), every other game of OpenSpiel (`open_spiel`), by name (`make`)."""
