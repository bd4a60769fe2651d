"""What a page with a public address needs besides its tabs: limits, the gate, files, devices."""
