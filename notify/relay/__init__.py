"""The workers' side of a relay: what many programs publish, delivered by several processes as if they were one."""
