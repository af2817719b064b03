"""See and change files on a host, through fixed scripts that never leave the root they were given."""
