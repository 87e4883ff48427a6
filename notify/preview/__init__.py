"""What Discord would show, as a page: of the very payload that would be posted."""
