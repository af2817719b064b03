"""Write and read single files of ours on the controller's disk, whole and private or not at all."""
