"""The one host of child processes: what they may do, and later their start, clock and death."""
