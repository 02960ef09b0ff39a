"""DataEnv as others' protocols have it; each module needs the extra of its name."""
