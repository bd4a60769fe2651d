"""What a run minimises: J, its targets and its gradient, for pictures seen whole or in tiles."""
