"""What one pair of arms can do and how late it is: motions to find out, estimates from what was measured, files."""
