"""From note to meaning: owners and types by name, VMCOREINFO, NT_VMCOREDD."""
