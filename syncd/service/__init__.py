"""syncd as a service of this machine or of one user: files, units, and their removal."""
