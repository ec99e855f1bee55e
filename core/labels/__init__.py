"""Labels: named, coloured marks of a project or of the system, for artifacts.

Words: a *project label* marks artifacts of its project only, a *global label* those of every
project. Neighbours: ``artifacts`` above keeps which artifact carries which label, and shows it;
deleting a label takes it off all of them.
"""
