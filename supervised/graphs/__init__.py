"""Graphs: their matrices, trees and paths, and tours through points. In numpy."""
