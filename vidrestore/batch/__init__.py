"""Many videos: a state folder, leases, and workers that may run on several machines."""
