"""The command line: one file each for input, mathematics, story, layout, plot and listing."""
