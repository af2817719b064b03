"""Start and stop throw-away real hosts: one sshd and one dockerd each, on one Debian machine, as root.

Nothing is installed and no service is registered. A host is a process with its own mount, process and name
spaces (and its own network where asked for), so that its users, its `/run`, its mounts and all its processes
end with that one process. Product code never learns of this package.
"""
